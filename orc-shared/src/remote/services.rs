//! What our executor offers beyond LLVM's services, and what it tells its controller.
//!
//! **Numbers.** Services are reached by number, not by address: a tag that is the number of a
//! service calls that service, any other tag is the address of a wrapper function of linked code.
//! All numbers are below [`NUMBER_END`], where nothing can be mapped. The setup message's symbols
//! give names to them. Functions in allocation actions follow the same rule.
//!
//! **Negotiation.** An executor that offers [`Service::Accept`] behaves as LLVM's does until the
//! controller calls it. From then on linked code's calls arrive as [`Notice::Call`], and the other
//! notices may.
//!
//! **Descriptors.** Over a Unix socket, descriptors travel with the first byte of the message that
//! they belong to (`SCM_RIGHTS`).
//!
//! The requests and answers that say what memory and libraries are like are types of
//! [`api`](crate::api).

use alloc::string::String;
use alloc::vec::Vec;

use crate::{ExecutorAddr, impl_sps_enum, impl_sps_struct};

/// Version of the services described here. Executors and controllers of different versions do not
/// work together.
pub const VERSION: u32 = 8;

/// Name of a symbol in the setup message: the process's [`ExitServices`](crate::ExitServices). Null if it
/// has none.
pub const EXIT_SERVICES: &str = "orc.exit_services";

/// First number that is none: tags from here on are addresses.
pub const NUMBER_END: u64 = 4096;

/// Names of values in the setup message.
pub mod values {
    /// [`VERSION`](super::VERSION), a `u32`.
    pub const VERSION: &str = "orc.version";
    /// Identity of the running kernel, text: executors of one host have the same.
    pub const BOOT_ID: &str = "orc.boot_id";
    /// What tells apart processes of one host that see different files (its mount namespace), text.
    pub const MOUNTS: &str = "orc.mounts";
    /// Process id, a `u64`.
    pub const PID: &str = "orc.pid";
    /// Whether descriptors can be passed, a `bool`.
    pub const DESCRIPTORS: &str = "orc.descriptors";
    /// Bytes of the largest message that the executor takes, header included; a `u64`.
    pub const MAX_MESSAGE: &str = "orc.max_message";
    /// What the system says of the processor, two `u64` (`AT_HWCAP`, `AT_HWCAP2`).
    pub const CAPABILITIES: &str = "orc.capabilities";
    /// Whether a debugger was attached to the process when it started, a `bool`.
    pub const DEBUGGED: &str = "orc.debugged";
    /// Calls of the controller that may be open at one time, a `u64`.
    pub const MAX_CALLS: &str = "orc.max_calls";
}

/// Defines an enum whose variants have consecutive numbers and names on the wire.
macro_rules! numbered {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident from $first:ident {
            $($(#[$doc:meta])* $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The number, as the tag of a call.
            #[must_use]
            pub const fn tag(self) -> $crate::ExecutorAddr {
                $crate::ExecutorAddr::new($first + self as u64)
            }

            /// What a tag stands for, if it is one of these numbers.
            #[must_use]
            pub fn from_tag(tag: $crate::ExecutorAddr) -> Option<Self> {
                let index = usize::try_from(tag.value().checked_sub($first)?).ok()?;
                Self::ALL.get(index).copied()
            }
        }
    };
}
pub(super) use numbered;

/// First number of services.
const FIRST_SERVICE: u64 = 0x100;

numbered! {
    /// What the controller calls.
    pub enum Service from FIRST_SERVICE {
        /// `Expected<Accepted>(Accept)`: the controller is one of ours. The first call. With
        /// [`Streams::Passed`], three descriptors come with it.
        Accept = "orc.accept",
        /// `()()`: answered at once, whatever else goes on.
        Ping = "orc.ping",
        /// `Error(Prepare)`: working directory and environment.
        Prepare = "orc.prepare",
        /// `Error(bytes)`: input for the program, once it has taken it; no bytes end the input.
        Input = "orc.input",
        /// `Expected<(RangeId, Range)>(Placement, u64 bytes)`.
        OpenRange = "orc.open_range",
        /// `Expected<Seq<Option<Allocated>>>(Seq<AllocationRequest>)`. All or nothing if one fails.
        Allocate = "orc.allocate",
        /// `Expected<Seq<Seq<Range>>>(Seq<Finalization>)`. All or nothing. Content that is not in
        /// the message lies in a sealed file whose descriptor comes with it.
        Finalize = "orc.finalize",
        /// `Error(Seq<u64 id>)`: drops allocations that are not final.
        Abandon = "orc.abandon",
        /// `Error(Seq<u64 id>)`: releases final allocations in this order. All failures joined.
        Release = "orc.release",
        /// `Expected<Seq<LoadedLibrary>>()`.
        Libraries = "orc.libraries",
        /// `Error(String path)`.
        OpenLibrary = "orc.open_library",
        /// `Expected<Seq<Option<ImportValue>>>(Seq<Import>)`.
        BindImports = "orc.bind_imports",
        /// `Error(ProgramImage)`: calls [`Notice::Relocated`] while the loader waits.
        OpenProgram = "orc.open_program",
        /// `Error()`.
        RedirectNewLibraries = "orc.redirect_new_libraries",
        /// `Error(ProgramIdentity)`.
        SetProgram = "orc.set_program",
        /// `Expected<bytes>(String path)`: a file of the executor's host.
        ReadFile = "orc.read_file",
        /// `Expected<bytes>(Addr function, bytes arguments)`: calls a wrapper function. Unlike
        /// a call by tag, it tells of out-of-band errors.
        Call = "orc.call",
        /// `Expected<Option<u64>>()`: bytes of the loader's surplus of static thread-local storage that
        /// the process would have had to start with for what was refused last to be granted.
        WantedSurplus = "orc.wanted_surplus",
        /// `Error(RangeId)`: nothing will be allocated in the range any more.
        CloseRange = "orc.close_range",
        /// `Expected<TlsAccess>()`: what code needs to reach thread-locals in modules of their own.
        TlsAccess = "orc.tls_access",
        /// `Error(Seq<(Addr place, Addr value)>)`: writes pointers in final data, in this order. All or
        /// nothing.
        WritePointers = "orc.write_pointers",
    }
}

/// First number of actions.
const FIRST_ACTION: u64 = 0x200;

numbered! {
    /// What the controller has done when an allocation becomes final, or goes.
    pub enum Action from FIRST_ACTION {
        /// `Error(Addr key, bytes)`: shows an object file to debuggers of the process. It is known by an
        /// address of the code that it tells of.
        ShowToDebuggers = "orc.show_to_debuggers",
        /// `Error(Addr key)`: takes that object file back.
        HideFromDebuggers = "orc.hide_from_debuggers",
    }
}

/// First number of notices.
const FIRST_NOTICE: u64 = 0x100;

numbered! {
    /// What the executor calls, beside handlers by tag.
    pub enum Notice from FIRST_NOTICE {
        /// `Error(Seq<ImportValue>)`: the program's libraries are relocated; its memory must be
        /// final when this returns.
        Relocated = "orc.relocated",
        /// `Expected<bytes>(Addr tag, bytes arguments)`: linked code calls a handler.
        Call = "orc.call",
        /// `()(Stream, bytes)`: the program has written this. The next piece of the stream
        /// is sent once this is answered.
        Output = "orc.output",
        /// `()(ExitStatus)`: the process has ended. Not followed by anything, needs no answer.
        Exited = "orc.exited",
        /// `()(CrashReport)`: a signal is about to end the process. Needs no answer.
        Crashed = "orc.crashed",
    }
}

/// What becomes of the program's standard streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Streams {
    /// They are what the executor was started with.
    #[default]
    Inherited,
    /// They become the three descriptors that come with the message.
    Passed,
    /// Output arrives as [`Notice::Output`], input goes through [`Service::Input`].
    Forwarded,
}
impl_sps_enum!(Streams { Inherited = 0, Passed = 1, Forwarded = 2 });

/// A stream that the program writes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}
impl_sps_enum!(Stream { Output = 1, Error = 2 });

/// What the controller says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accept {
    /// Its [`VERSION`].
    pub version: u32,
    /// Bytes of the largest message that it takes, header included.
    pub max_message: u64,
    /// The executor ends itself when it has received nothing for so long, in milliseconds; the
    /// controller promises to ping more often. 0 for no limit.
    pub silence_max_ms: u64,
    /// What it wants to become of the program's streams.
    pub streams: Streams,
}
impl_sps_struct!(Accept {
    version: u32,
    max_message: u64,
    silence_max_ms: u64,
    streams: Streams,
});

/// What the executor answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// Its [`VERSION`].
    pub version: u32,
    /// What really becomes of the streams: without a way to pass or forward them, they are
    /// [`Streams::Inherited`].
    pub streams: Streams,
}
impl_sps_struct!(Accepted {
    version: u32,
    streams: Streams
});

/// The process as the program finds it. Names and values are bytes, as in the system.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Prepare {
    /// Working directory; unchanged if absent.
    pub directory: Option<Vec<u8>>,
    /// The whole environment as "NAME=value"; unchanged if absent.
    pub environment: Option<Vec<Vec<u8>>>,
}
impl_sps_struct!(Prepare {
    directory: Option<Vec<u8>>,
    environment: Option<Vec<Vec<u8>>>,
});

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExitStatus {
    /// Exit code, or number of the signal.
    pub value: i32,
    /// Whether a signal ended it.
    pub signaled: bool,
}
impl_sps_struct!(ExitStatus {
    value: i32,
    signaled: bool
});

/// What is known of a crash at the moment it happens.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CrashReport {
    /// The signal's number.
    pub signal: i32,
    /// Its cause, `si_code`.
    pub code: i32,
    /// The address that was accessed, where the signal has one.
    pub fault_address: ExecutorAddr,
    /// Kernel's id and name of the thread.
    pub thread: (u64, String),
    /// Names and values of the registers.
    pub registers: Vec<(String, u64)>,
    /// Code addresses from the crash outwards: the first is that of the instruction, the others are
    /// return addresses.
    pub backtrace: Vec<ExecutorAddr>,
    /// What is mapped there and near the fault: lines of the form of Linux's `/proc/PID/maps`.
    pub mappings: Vec<u8>,
}
impl_sps_struct!(CrashReport {
    signal: i32,
    code: i32,
    fault_address: ExecutorAddr,
    thread: (u64, String),
    registers: Vec<(String, u64)>,
    backtrace: Vec<ExecutorAddr>,
    mappings: Vec<u8>,
});

#[cfg(test)]
mod tests {
    use alloc::vec;
    use core::fmt::Debug;

    use super::super::llvm::LlvmService;
    use super::*;
    use crate::sps::{SpsDecode, SpsEncode, decode, encode};

    #[test]
    fn numbers_lead_back_to_services() {
        for &service in Service::ALL {
            assert_eq!(Service::from_tag(service.tag()), Some(service));
            assert_eq!(LlvmService::from_tag(service.tag()), None);
        }
        for &service in LlvmService::ALL {
            assert_eq!(LlvmService::from_tag(service.tag()), Some(service));
            assert_eq!(Service::from_tag(service.tag()), None);
            assert!(service.tag().value() < NUMBER_END);
        }
        for &action in Action::ALL {
            assert_eq!(Action::from_tag(action.tag()), Some(action));
            assert_eq!(Service::from_tag(action.tag()), None);
            assert_eq!(LlvmService::from_tag(action.tag()), None);
        }
        for &notice in Notice::ALL {
            assert_eq!(Notice::from_tag(notice.tag()), Some(notice));
        }
        let strangers = [0, FIRST_SERVICE - 1, NUMBER_END - 1, NUMBER_END, u64::MAX];
        for tag in strangers.map(ExecutorAddr::new) {
            assert_eq!(Service::from_tag(tag), None, "{tag}");
            assert_eq!(LlvmService::from_tag(tag), None, "{tag}");
            assert_eq!(Notice::from_tag(tag), None, "{tag}");
        }
    }

    fn check<T: SpsEncode + for<'a> SpsDecode<'a> + PartialEq + Debug>(value: &T) {
        let bytes = encode(value);
        assert_eq!(value.sps_size(), bytes.len());
        assert_eq!(decode::<T>(&bytes).as_ref(), Ok(value));
        for end in 0..bytes.len() {
            assert!(
                decode::<T>(&bytes[..end]).is_err(),
                "{value:?} cut at {end}"
            );
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        check(&Accept {
            version: VERSION,
            max_message: 1 << 30,
            silence_max_ms: 5000,
            streams: Streams::Forwarded,
        });
        check(&Accepted {
            version: VERSION,
            streams: Streams::Passed,
        });
        check(&Prepare {
            directory: Some(b"/tmp".to_vec()),
            environment: Some(vec![b"A=\xff".to_vec()]),
        });
        check(&ExitStatus {
            value: 11,
            signaled: true,
        });
        check(&CrashReport {
            signal: 11,
            code: 1,
            fault_address: ExecutorAddr::new(0x10),
            thread: (17, "main".into()),
            registers: vec![("rip".into(), 5)],
            backtrace: vec![ExecutorAddr::new(5)],
            mappings: b"5-6 r-xp".to_vec(),
        });
        check(&(Stream::Error, b"x".to_vec()));
    }

    #[test]
    fn unknown_variants_are_errors() {
        assert!(decode::<Stream>(&[0]).is_err());
        assert!(decode::<Streams>(&[3]).is_err());
    }
}
