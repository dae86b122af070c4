//! The program of an executor: when it is entered into the process, and when it is taken out.

use std::sync::Arc;
use std::thread::{self, ThreadId};

use orc_shared::api::{ImportValue, ProgramImage};
use parking_lot::Mutex;

use super::Failure;
use crate::host::program;

/// A program, shared with its memory.
pub(super) type SharedProgram = Arc<Mutex<Program>>;

/// A program of an executor.
#[derive(Default)]
pub(super) enum Program {
    #[default]
    None,
    /// The loader is about to run the program's libraries, on this thread.
    Entering(ThreadId),
    Open(Box<program::OpenProgram>, Box<ProgramImage>),
    /// It was taken out; false if its memory must stay.
    Closed(bool),
}

impl Program {
    /// The program that memory made final on this thread belongs to.
    pub(super) fn entering(program: &SharedProgram) -> Option<SharedProgram> {
        let this = thread::current().id();
        let entering = matches!(*program.lock(), Self::Entering(thread) if thread == this);
        entering.then(|| Arc::clone(program))
    }

    /// Enters a program into the process.
    pub(super) fn open(
        current: &Mutex<SharedProgram>,
        image: &ProgramImage,
        relocated: &mut dyn FnMut(&[ImportValue]) -> Result<(), String>,
    ) -> Result<(), Failure> {
        // A new one for each program: memory of one that has ended stays with that.
        let program = Arc::new(Mutex::new(Self::Entering(thread::current().id())));
        {
            let mut current = current.lock();
            if matches!(*current.lock(), Self::Entering(_) | Self::Open(..)) {
                return Err(Failure::new(program::ProgramError::AlreadyOpen));
            }
            *current = Arc::clone(&program);
        }
        // Libraries' constructors run in here, and may call back: no lock is held.
        let opened = program::open(image, relocated);
        let (state, outcome) = match opened {
            Ok(open) => (Self::Open(Box::new(open), Box::new(image.clone())), Ok(())),
            Err(error) => (Self::None, Err(Failure::new(error))),
        };
        *program.lock() = state;
        outcome
    }

    /// Takes the program out of the process if it is still there. Whether its memory may be freed.
    pub(super) fn close(program: &Mutex<Self>) -> bool {
        let open = {
            let mut program = program.lock();
            match &*program {
                // Entering failed after this memory became final, so nothing is bound to it.
                Self::None | Self::Entering(_) => return true,
                Self::Closed(free) => return *free,
                Self::Open(..) => std::mem::replace(&mut *program, Self::Closed(false)),
            }
        };
        // Libraries' destructors run in here: no lock is held.
        let Self::Open(open, _) = open else {
            return false;
        };
        let free = open.close();
        *program.lock() = Self::Closed(free);
        free
    }

    /// See [`LocalExecutor::redirect_new_libraries`](super::LocalExecutor::redirect_new_libraries).
    pub(super) fn redirect_new_libraries(program: &Mutex<Self>) -> Result<(), Failure> {
        match &mut *program.lock() {
            Self::Open(open, image) => open.redirect_new_libraries(image).map_err(Failure::new),
            Self::None | Self::Entering(_) | Self::Closed(_) => Ok(()),
        }
    }
}
