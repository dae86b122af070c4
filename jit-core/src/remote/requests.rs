//! Requests to services, and what is made of their answers.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use orc_shared::remote::HEADER_SIZE;
use orc_shared::remote::services::Service;
use orc_shared::sps::{self, SpsDecode, SpsEncode, SpsError, SpsExpected};

use super::connection::{CallBack, Connection};
use crate::executor::{Disconnect, ExecutorError, ExecutorResult};

/// What requests go through.
pub(super) struct Requests {
    pub(super) connection: Arc<Connection>,
    /// Bytes of the largest message that the executor takes, header included.
    pub(super) max_message: u64,
}

impl Requests {
    /// Asks a service that returns an SPS `Expected`.
    ///
    /// # Errors
    /// The service's, or that the executor is gone.
    pub(super) fn ask<A, T>(&self, service: Service, args: &A) -> ExecutorResult<T>
    where
        A: SpsEncode + ?Sized,
        T: for<'a> SpsDecode<'a>,
    {
        self.ask_with(service, &sps::encode(args), &[])
    }

    /// The same with packed arguments and descriptors.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub(super) fn ask_with<T: for<'a> SpsDecode<'a>>(
        &self,
        service: Service,
        args: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> ExecutorResult<T> {
        self.check_size(service, args)?;
        let tag = service.tag();
        let result = self.connection.call_with(tag, args, descriptors);
        let SpsExpected(outcome) = self.decode(service, &result.map_err(gone)?)?;
        outcome.map_err(ExecutorError::Failed)
    }

    /// The first request of a session, with descriptors.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub(super) fn ask_first<A, T>(
        &self,
        service: Service,
        args: &A,
        descriptors: &[BorrowedFd<'_>],
    ) -> ExecutorResult<T>
    where
        A: SpsEncode + ?Sized,
        T: for<'a> SpsDecode<'a>,
    {
        let args = sps::encode(args);
        self.check_size(service, &args)?;
        let result = self
            .connection
            .call_first(service.tag(), &args, descriptors);
        let SpsExpected(outcome) = self.decode(service, &result.map_err(gone)?)?;
        outcome.map_err(ExecutorError::Failed)
    }

    /// Asks a service that returns an SPS `Error`.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub(super) fn order<A>(&self, service: Service, args: &A) -> ExecutorResult<()>
    where
        A: SpsEncode + ?Sized,
    {
        let args = sps::encode(args);
        self.check_size(service, &args)?;
        let result = self.connection.call(service.tag(), &args);
        let SpsError(outcome) = self.decode(service, &result.map_err(gone)?)?;
        outcome.map_err(ExecutorError::Failed)
    }

    /// Asks for a program to be opened; `relocated` answers meanwhile.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub(super) fn open_program<A>(&self, args: &A, relocated: CallBack<'_>) -> ExecutorResult<()>
    where
        A: SpsEncode + ?Sized,
    {
        let service = Service::OpenProgram;
        let args = sps::encode(args);
        self.check_size(service, &args)?;
        let result = self
            .connection
            .call_program(service.tag(), &args, relocated);
        let SpsError(outcome) = self.decode(service, &result.map_err(gone)?)?;
        outcome.map_err(ExecutorError::Failed)
    }

    /// Calls a service whose outcome does not matter.
    pub(super) fn tell<A: SpsEncode + ?Sized>(&self, service: Service, args: &A) {
        self.connection.tell(service.tag(), &sps::encode(args));
    }

    /// The executor has done what it must not: the session ends.
    pub(super) fn violation(&self, what: &str) -> ExecutorError {
        gone(self.connection.violated(what.to_owned()))
    }

    fn decode<T: for<'a> SpsDecode<'a>>(
        &self,
        service: Service,
        result: &[u8],
    ) -> ExecutorResult<T> {
        sps::decode(result).map_err(|error| {
            let service = service.name();
            self.violation(&format!("its answer to {service} cannot be read: {error}"))
        })
    }

    /// Refuses to send what the executor would not take.
    ///
    /// # Errors
    /// When the message would be too large.
    pub(super) fn check_size(&self, service: Service, args: &[u8]) -> ExecutorResult<()> {
        let size = (args.len() + HEADER_SIZE) as u64;
        if size <= self.max_message {
            return Ok(());
        }
        Err(ExecutorError::failed(format_args!(
            "a message of {size} bytes ({}) is more than the {} bytes that the executor takes",
            service.name(),
            self.max_message
        )))
    }
}

/// The error of a request whose answer will not come.
pub(super) fn gone(how: Disconnect) -> ExecutorError {
    ExecutorError::Disconnected(how)
}
