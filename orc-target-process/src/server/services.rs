//! Our services, each a function from its arguments to its result.

use std::collections::HashMap;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use orc_shared::api::{
    Allocated, AllocationRequest, Finalization, Import, ImportValue, Placement, ProgramIdentity,
    ProgramImage,
};
use orc_shared::remote::services::{Accept, Accepted, Notice, Prepare, Service, Streams, VERSION};
use orc_shared::sps::{self, SpsDecode, SpsEncode, SpsError, SpsExpected};
use orc_shared::{ExecutorAddr, ExecutorAddrRange};
use parking_lot::Mutex;

use super::budget::{Budget, Share};
use super::connection::Message;
use super::crash;
use super::session::Session;
use crate::executor::memory::{self, SharedContent};
use crate::executor::trust::Trust;
use crate::executor::{Failure, Finalized, InFlight, LocalExecutor};
use crate::host;
use crate::host::identity;
use crate::host::loader;
use crate::host::thread_locals::Reserve;

/// A call that no controller of good will makes: what is wrong with it. It ends the connection.
pub(super) struct Violation(pub(super) String);

/// Memory, and what it is called in messages.
pub(super) struct Services {
    pub(super) local: LocalExecutor,
    budget: Arc<Budget>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    next_id: u64,
    in_flight: HashMap<u64, (InFlight, Share)>,
    finalized: HashMap<u64, (Finalized, Share)>,
}

impl Services {
    pub(super) fn new(config: memory::Config, budget: Arc<Budget>, trust: Trust) -> Self {
        Self {
            local: LocalExecutor::trusting(config, trust),
            budget,
            memory: Mutex::default(),
        }
    }
}

/// Whether a call neither runs linked code nor waits for anything, so that the thread that receives
/// may serve it.
pub(super) fn is_quick(tag: ExecutorAddr) -> bool {
    matches!(
        Service::from_tag(tag),
        Some(Service::Accept | Service::Ping)
    )
}

/// Whether a call is for the serving thread, even if that is busy: it calls the controller with the
/// loader's lock held, and what the controller asks for then has to run on the same thread.
pub(super) fn is_for_main(tag: ExecutorAddr) -> bool {
    Service::from_tag(tag) == Some(Service::OpenProgram)
}

/// Serves a call of one of our services. `None` if it is none.
pub(super) fn answer(session: &Arc<Session>, call: &Message) -> Option<Result<Vec<u8>, Violation>> {
    let service = Service::from_tag(call.tag)?;
    let arguments = Arguments {
        name: service.name(),
        bytes: &call.body,
    };
    let services = &session.services;
    Some(match service {
        Service::Accept => arguments.expected(|it| accept(session, &it, &call.descriptors)),
        Service::Ping => arguments.plain(|()| ()),
        Service::Prepare => arguments.error(|it| prepare(&it)),
        Service::Input => arguments.error(|_: &[u8]| {
            let problem = "the program's input is not forwarded over this connection";
            Err(Failure(problem.to_owned()))
        }),
        Service::OpenRange => arguments.expected(|(placement, least): (Placement, u64)| {
            services.local.open_range(placement, least)
        }),
        Service::CloseRange => arguments.error(|range| services.local.close_range(range)),
        Service::Allocate => arguments.expected(|it: Vec<_>| services.allocate(&it)),
        Service::Finalize => {
            arguments.expected(|it: Vec<_>| services.finalize(it, &call.descriptors))
        }
        Service::Abandon => arguments.error(|it: Vec<u64>| services.abandon(&it)),
        Service::Release => arguments.error(|it: Vec<u64>| services.release(&it)),
        Service::Libraries => arguments.expected(|()| Ok::<_, Failure>(loader::loaded_libraries())),
        Service::OpenLibrary => arguments.error(loader::open_library),
        Service::BindImports => {
            arguments.expected(|it: Vec<Import>| services.local.bind_imports(&it))
        }
        Service::OpenProgram => arguments.error(|it| open_program(session, &it)),
        Service::RedirectNewLibraries => {
            arguments.error(|()| services.local.redirect_new_libraries())
        }
        Service::SetProgram => arguments.error(|program: ProgramIdentity| {
            identity::set_program(&program);
            Ok::<_, Failure>(())
        }),
        Service::ReadFile => {
            let limit = session.settings.limits.max_message;
            arguments.expected(|path| read_file(path, limit))
        }
        Service::WantedSurplus => {
            arguments.expected(|()| Ok::<_, Failure>(Reserve::get().wanted()))
        }
        Service::TlsAccess => arguments.expected(|()| LocalExecutor::tls_access()),
        Service::WritePointers => arguments.error(|it: Vec<_>| services.local.write_pointers(&it)),
        Service::Call => arguments
            .expected(|(function, bytes): (_, &[u8])| session.trust.call_wrapper(function, bytes)),
    })
}

/// A call's packed arguments.
pub(super) struct Arguments<'a> {
    pub(super) name: &'a str,
    pub(super) bytes: &'a [u8],
}

impl<'a> Arguments<'a> {
    fn read<A: SpsDecode<'a>>(&self) -> Result<A, Violation> {
        sps::decode(self.bytes).map_err(|error| {
            let name = self.name;
            Violation(format!(
                "call of {name}: its arguments cannot be read: {error}"
            ))
        })
    }

    /// Serves a call that returns a plain value.
    pub(super) fn plain<A: SpsDecode<'a>, R: SpsEncode>(
        &self,
        serve: impl FnOnce(A) -> R,
    ) -> Result<Vec<u8>, Violation> {
        Ok(sps::encode(&serve(self.read()?)))
    }

    /// Serves a call whose arguments may make no sense.
    pub(super) fn fallible<A: SpsDecode<'a>, R: SpsEncode>(
        &self,
        serve: impl FnOnce(A) -> Result<R, Violation>,
    ) -> Result<Vec<u8>, Violation> {
        Ok(sps::encode(&serve(self.read()?)?))
    }

    /// Serves a call that returns a value or fails.
    pub(super) fn expected<A: SpsDecode<'a>, R: SpsEncode, E: std::fmt::Display>(
        &self,
        serve: impl FnOnce(A) -> Result<R, E>,
    ) -> Result<Vec<u8>, Violation> {
        self.plain(|arguments| SpsExpected::from(serve(arguments)))
    }

    /// Serves a call that succeeds or fails.
    pub(super) fn error<A: SpsDecode<'a>, E: std::fmt::Display>(
        &self,
        serve: impl FnOnce(A) -> Result<(), E>,
    ) -> Result<Vec<u8>, Violation> {
        self.plain(|arguments| SpsError::from(serve(arguments)))
    }
}

fn accept(
    session: &Arc<Session>,
    accept: &Accept,
    descriptors: &[OwnedFd],
) -> Result<Accepted, Failure> {
    if accept.version != VERSION {
        return Err(Failure(format!(
            "this executor has version {VERSION} of its services, the controller wants version {}",
            accept.version
        )));
    }
    let streams = match (accept.streams, descriptors) {
        (Streams::Passed, [input, output, error]) => {
            host::process::replace_standard_streams([input, output, error])
                .map_err(Failure::new)?;
            Streams::Passed
        }
        (Streams::Passed, _) => {
            return Err(Failure(format!(
                "{} descriptors came for the three standard streams",
                descriptors.len()
            )));
        }
        (Streams::Forwarded, _) if session.settings.forwards_streams => Streams::Forwarded,
        (Streams::Forwarded | Streams::Inherited, _) => Streams::Inherited,
    };
    session.writer.set_max_message(accept.max_message);
    let silence = accept.silence_max_ms;
    session.silence_max_ms.store(silence, Ordering::Relaxed);
    session.accepted.store(true, Ordering::Release);
    if session.settings.ends_process {
        crash::report_to(session);
    }
    Ok(Accepted {
        version: VERSION,
        streams,
    })
}

fn prepare(prepare: &Prepare) -> Result<(), Failure> {
    if let Some(directory) = &prepare.directory {
        host::process::change_directory(directory).map_err(|error| {
            let directory = String::from_utf8_lossy(directory);
            Failure(format!(
                "the working directory cannot be {directory}: {error}"
            ))
        })?;
    }
    if let Some(environment) = &prepare.environment {
        host::process::replace_environment(environment).map_err(Failure::new)?;
    }
    Ok(())
}

impl Services {
    fn allocate(&self, requests: &[AllocationRequest]) -> Result<Vec<Option<Allocated>>, Failure> {
        let shares = requests
            .iter()
            .map(|request| self.budget.take(size_of_request(request)))
            .collect::<Result<Vec<Share>, Failure>>()?;
        let allocated = self.local.allocate(requests)?;
        let mut memory = self.memory.lock();
        let answers = allocated.into_iter().zip(shares).map(|(allocated, share)| {
            let in_flight = allocated?;
            let id = memory.next_id;
            memory.next_id += 1;
            let answer = Allocated {
                id,
                addresses: in_flight.addresses().to_vec(),
                tls: in_flight.tls(),
            };
            memory.in_flight.insert(id, (in_flight, share));
            Some(answer)
        });
        Ok(answers.collect())
    }

    fn finalize(
        &self,
        batch: Vec<Finalization<'_>>,
        descriptors: &[OwnedFd],
    ) -> Result<Vec<Vec<ExecutorAddrRange>>, Failure> {
        let ids: Vec<u64> = batch.iter().map(|it| it.id).collect();
        let (in_flight, shares) = self.take_all(&ids)?;
        let finalized = self.fill_and_finalize(in_flight, batch, descriptors)?;
        let ranges = finalized.iter().map(|it| it.ranges().to_vec()).collect();
        let entries = ids.into_iter().zip(finalized.into_iter().zip(shares));
        self.memory.lock().finalized.extend(entries);
        Ok(ranges)
    }

    /// Takes allocations out of the table. If one is missing, the others are abandoned.
    fn take_all(&self, ids: &[u64]) -> Result<(Vec<InFlight>, Vec<Share>), Failure> {
        let taken: Vec<Option<(InFlight, Share)>> = {
            let mut memory = self.memory.lock();
            ids.iter().map(|id| memory.in_flight.remove(id)).collect()
        };
        let known = ids.iter().zip(taken);
        let known = known.map(|(id, taken)| taken.ok_or_else(|| unknown_allocation(*id)));
        let known: Vec<_> = known.collect::<Result<_, Failure>>()?;
        Ok(known.into_iter().unzip())
    }

    fn fill_and_finalize(
        &self,
        in_flight: Vec<InFlight>,
        batch: Vec<Finalization<'_>>,
        descriptors: &[OwnedFd],
    ) -> Result<Vec<Finalized>, Failure> {
        let file = shared_content(descriptors)?;
        let filled = in_flight.into_iter().zip(batch).map(|(mut memory, it)| {
            memory.fill(&it.content, file.as_ref())?;
            Ok((memory, it.request))
        });
        self.local.finalize(filled.collect::<Result<_, _>>()?)
    }

    fn abandon(&self, ids: &[u64]) -> Result<(), Failure> {
        let each = ids.iter().map(|id| {
            // Dropped without the lock.
            let taken = self.memory.lock().in_flight.remove(id);
            taken.map(drop).ok_or_else(|| unknown_allocation(*id))
        });
        Failure::all(each.map(Result::err))
    }

    fn release(&self, ids: &[u64]) -> Result<(), Failure> {
        let each = ids.iter().map(|id| {
            let taken = self.memory.lock().finalized.remove(id);
            let (finalized, _share) = taken.ok_or_else(|| unknown_allocation(*id))?;
            // Linked code runs in here, and may call the controller.
            finalized.release().map(|_| ())
        });
        Failure::all(each.map(Result::err))
    }
}

fn unknown_allocation(id: u64) -> Failure {
    Failure(format!(
        "allocation {id} does not exist in the executor, or is in another state"
    ))
}

fn size_of_request(request: &AllocationRequest) -> u64 {
    let sizes = request.segments.iter().map(|segment| segment.size);
    sizes.fold(request.tls.map_or(0, |tls| tls.size), u64::saturating_add)
}

/// The file that came with a message.
fn shared_content(descriptors: &[OwnedFd]) -> Result<Option<SharedContent>, Failure> {
    match descriptors {
        [] => Ok(None),
        [file] => {
            let file = file.try_clone().map_err(Failure::new)?;
            SharedContent::new(file).map(Some).map_err(Failure::new)
        }
        _ => Err(Failure("more than one file with content".to_owned())),
    }
}

/// Enters a program. The controller completes it while the loader waits, on this thread.
fn open_program(session: &Arc<Session>, image: &ProgramImage) -> Result<(), Failure> {
    let local = &session.services.local;
    let relocated = &mut |values: &[ImportValue]| {
        let arguments = sps::encode(values);
        let answer = session
            .call(Notice::Relocated.tag(), &[&arguments])
            .map_err(|error| error.to_string())?;
        let SpsError(outcome) = sps::decode(&answer).map_err(|error| error.to_string())?;
        outcome
    };
    local.open_program(image, relocated)
}

/// The content of a regular file.
fn read_file(path: &str, limit: u64) -> Result<Vec<u8>, Failure> {
    let failed = |problem: &dyn std::fmt::Display| Failure(format!("{path}: {problem}"));
    let file = host::process::open_regular_file(path).map_err(|error| failed(&error))?;
    let file = file.ok_or_else(|| failed(&"it is no regular file"))?;
    let mut content = Vec::new();
    // What the system makes up when it is read has no size.
    let read = file.take(limit).read_to_end(&mut content);
    let size = read.map_err(|error| failed(&error))? as u64;
    if size == limit {
        return Err(failed(&format_args!(
            "it is larger than the {limit} bytes of a message"
        )));
    }
    Ok(content)
}
