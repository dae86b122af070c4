//! Typed handles of functions.
//!
//! The one place of this crate that calls linked code through a pointer. Safety rests on one
//! assertion of the client, made in [`Dylib::function`]: that the symbol has the type it is asked
//! for as. What follows from that is kept here: the pointer leaves a handle only through
//! `unsafe`, and the code stays in memory as long as the handle.

use jit_core::name::NameUses;
use jit_core::object::SymbolKind;
use jit_core::session::{AbsoluteSymbol, Symbol};
use orc_shared::ExecutorAddr;

use crate::dylib::{Dylib, Tracker};
use crate::error::Error;
use crate::jit::Jit;

mod sealed {
    /// Only pointers to functions of the C ABI are function pointers here.
    pub trait Sealed {
        /// The pointer with this address.
        ///
        /// # Safety
        /// A function of that type must be there.
        unsafe fn from_addr(addr: usize) -> Self;

        /// Where the function is.
        fn addr(self) -> usize;
    }
}

/// A pointer to a function of the C ABI, of up to twelve parameters.
pub trait FunctionPointer: sealed::Sealed + Copy {}

/// A function of linked code, which stays in memory as long as the handle lives.
///
/// Call it with [`Function::call`]. The raw pointer is behind `unsafe`, because a copy of it could
/// outlive the code.
#[derive(Clone)]
pub struct Function<F> {
    pointer: F,
    symbol: Symbol,
    // Keeps the runtime, which the function may call.
    _jit: Jit,
}

impl<F: FunctionPointer> Function<F> {
    /// # Safety
    /// The symbol is a function of type `F`.
    pub(crate) unsafe fn new(jit: Jit, symbol: Symbol) -> Self {
        let addr = symbol.addr().value() as usize;
        Self {
            // SAFETY: the symbol is a function of this type, by the `# Safety` above; `symbol` keeps its code.
            pointer: unsafe { F::from_addr(addr) },
            symbol,
            _jit: jit,
        }
    }

    /// The pointer itself.
    ///
    /// # Safety
    /// It must not be called after this handle is dropped.
    pub unsafe fn pointer(&self) -> F {
        self.pointer
    }

    /// Where the function is.
    #[must_use]
    pub fn addr(&self) -> ExecutorAddr {
        self.symbol.addr()
    }
}

impl<F> std::fmt::Debug for Function<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Function")
            .field(&self.symbol.addr())
            .finish()
    }
}

impl Dylib {
    /// The function of this name, as a handle that keeps its code. What it needs is linked, and
    /// initializers run, before this returns.
    ///
    /// # Errors
    /// When the name, or something that its definition needs, is missing; when it is no function.
    ///
    /// # Safety
    /// The function must have the type `F`, and calling it must be as safe as calling `F` is.
    pub unsafe fn function<F: FunctionPointer>(&self, name: &str) -> Result<Function<F>, Error> {
        if !self.jit.executor().control().is_this_process() {
            let name = name.to_owned();
            return Err(Error::NotInThisProcess { name });
        }
        let symbol = self.symbol(name)?;
        let what = match symbol.kind() {
            SymbolKind::Function | SymbolKind::IndirectFunction | SymbolKind::None => None,
            SymbolKind::Data => Some("data"),
            SymbolKind::ThreadLocal => Some("a thread-local variable"),
        };
        if let Some(what) = what {
            return Err(Error::NotAFunction {
                name: name.to_owned(),
                what,
            });
        }
        // SAFETY: the caller vouches for the type, and the checks above for that it is a function in this process.
        Ok(unsafe { Function::new(self.jit.clone(), symbol) })
    }
}

impl Tracker {
    /// Defines names as addresses of the process.
    ///
    /// # Errors
    /// When one is defined already.
    ///
    /// # Safety
    /// Linked code will use what is at these addresses as what it believes the names to be, as long
    /// as the tracker is not removed.
    pub unsafe fn define_absolute(&self, symbols: &[(&str, ExecutorAddr)]) -> Result<(), Error> {
        let mut names = NameUses::new(self.jit.0.session.names());
        let symbol = |(name, addr): &(&str, ExecutorAddr)| AbsoluteSymbol {
            name: names.intern(name.as_bytes()),
            addr: *addr,
            kind: SymbolKind::None,
            weak: false,
        };
        let symbols: Vec<AbsoluteSymbol> = symbols.iter().map(symbol).collect();
        Ok(self.session_tracker().add_absolute(&symbols)?)
    }

    /// Defines a function of this program under a name that linked code calls it by.
    ///
    /// # Errors
    /// When the name is defined already; when code runs in another process, which has no such function.
    ///
    /// # Safety
    /// Linked code will call the name as a function of type `F`, and the calls are as safe as those of `function`, as
    /// long as the tracker is not removed.
    pub unsafe fn define_function<F: FunctionPointer>(
        &self,
        name: &str,
        function: F,
    ) -> Result<(), Error> {
        if !self.jit.executor().control().is_this_process() {
            let name = name.to_owned();
            return Err(Error::HostFunctionElsewhere { name });
        }
        let addr = ExecutorAddr::new(function.addr() as u64);
        // SAFETY: as above; a function of this process is at its address.
        unsafe { self.define_absolute(&[(name, addr)]) }
    }
}

macro_rules! function_pointers {
    ($(($($parameter:ident)*))*) => {$(
        impl<R, $($parameter),*> sealed::Sealed for extern "C" fn($($parameter),*) -> R {
            unsafe fn from_addr(addr: usize) -> Self {
                // SAFETY: the caller's promise; data and function pointers have the same size on all
                // platforms that code is linked for.
                unsafe { std::mem::transmute::<usize, Self>(addr) }
            }

            fn addr(self) -> usize {
                self as usize
            }
        }
        impl<R, $($parameter),*> FunctionPointer for extern "C" fn($($parameter),*) -> R {}

        impl<R, $($parameter),*> Function<extern "C" fn($($parameter),*) -> R> {
            /// Calls the function.
            #[allow(non_snake_case, clippy::too_many_arguments)]
            pub fn call(&self, $($parameter: $parameter),*) -> R {
                (self.pointer)($($parameter),*)
            }
        }

        impl<R, $($parameter),*> sealed::Sealed for unsafe extern "C" fn($($parameter),*) -> R {
            unsafe fn from_addr(addr: usize) -> Self {
                // SAFETY: as above.
                unsafe { std::mem::transmute::<usize, Self>(addr) }
            }

            fn addr(self) -> usize {
                self as usize
            }
        }
        impl<R, $($parameter),*> FunctionPointer for unsafe extern "C" fn($($parameter),*) -> R {}

        impl<R, $($parameter),*> Function<unsafe extern "C" fn($($parameter),*) -> R> {
            /// Calls the function.
            ///
            /// # Safety
            /// What the function itself requires.
            #[allow(non_snake_case, clippy::too_many_arguments)]
            pub unsafe fn call(&self, $($parameter: $parameter),*) -> R {
                // SAFETY: the code is there as long as `self.symbol`; the caller vouches for what the function requires.
                unsafe { (self.pointer)($($parameter),*) }
            }
        }
    )*};
}

function_pointers! {
    ()
    (A)
    (A B)
    (A B C)
    (A B C D)
    (A B C D E)
    (A B C D E F)
    (A B C D E F G)
    (A B C D E F G H)
    (A B C D E F G H I)
    (A B C D E F G H I J)
    (A B C D E F G H I J K)
    (A B C D E F G H I J K L)
}
