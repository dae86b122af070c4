//! What happens when the loader has relocated everything.

use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use orc_shared::api::{ImportValue, ProgramImage};
use orc_system::standard_streams;

use super::copies::Copies;
use super::later::Running;
use super::redirect::Redirects;
use super::{ProgramError, later};
use crate::host::loader::{Binding, HookWords, Image, Scope, loaded_objects, lookup};
use crate::host::process;

/// What the loader's message says; ours is returned instead.
const REASON: &CStr = c"the program could not be completed";
const OBJECT_NAME: &CStr = c"program";

/// The state that the hook stub passes to [`run`].
pub(super) struct Hook<'a> {
    state: Box<State<'a>>,
}

struct State<'a> {
    image: &'a ProgramImage,
    unbound: &'a [bool],
    relocated: &'a mut dyn FnMut(&[ImportValue]) -> Result<(), String>,
    import_table: u64,
    jump_stub: u64,
    /// Load addresses of the objects that are there already.
    loaded_before: Vec<u64>,
    /// Address of `_dl_signal_error`, or 0.
    signal_error: u64,
    /// What the name `dlopen` means for the program and its libraries, if not the loader's.
    dlopen: Option<u64>,
    outcome: Option<Result<Arc<Running>, ProgramError>>,
}

impl<'a> Hook<'a> {
    pub fn new(
        image: &'a ProgramImage,
        unbound: &'a [bool],
        relocated: &'a mut dyn FnMut(&[ImportValue]) -> Result<(), String>,
    ) -> Self {
        Self {
            state: Box::new(State {
                image,
                unbound,
                relocated,
                import_table: 0,
                jump_stub: 0,
                loaded_before: loaded_objects().iter().map(|o| o.range().start).collect(),
                // The function that the loader itself reports a failed relocation with.
                signal_error: lookup(c"_dl_signal_error", None).unwrap_or(0),
                dlopen: later::replacement(image),
                outcome: None,
            }),
        }
    }

    /// The words that the image carries for its stub.
    pub fn words(&mut self) -> HookWords {
        HookWords {
            context: (&raw mut *self.state).expose_provenance() as u64,
            hook: run as *const () as u64,
            signal_error: self.state.signal_error,
            object_name: OBJECT_NAME.as_ptr().expose_provenance() as u64,
            jump: self.state.dlopen.unwrap_or(0),
            preinit: match self.state.image.preinit_arrays.is_empty() {
                true => 0,
                false => later::run_preinit_arrays as *const () as u64,
            },
        }
    }

    /// Where the parts of the image are that the hook needs.
    pub fn set_layout(&mut self, image: &Image) {
        self.state.import_table = image.import_table;
        self.state.jump_stub = image.jump_stub;
    }

    /// What came of the call; `None` if there was none.
    pub fn into_outcome(self) -> Option<Result<Arc<Running>, ProgramError>> {
        self.state.outcome
    }
}

/// Called by the stub. Null lets `dlopen` go on; a message makes it fail, without a constructor
/// having run. Where the loader cannot be made to fail, its constructors run and only then is the
/// image closed.
extern "C" fn run(state: *mut State<'_>, base: u64) -> *const c_char {
    // SAFETY: the word comes from `words`; the box lives, and nothing else uses it, while `dlopen`
    // runs.
    let state = unsafe { &mut *state };
    let outcome = catch_unwind(AssertUnwindSafe(|| state.complete(base)));
    let outcome = outcome.unwrap_or(Err(ProgramError::Panicked));
    let give_up = outcome.is_err() && state.signal_error != 0;
    state.outcome = Some(outcome);
    if give_up {
        return REASON.as_ptr();
    }
    // Constructors of the program's libraries run next.
    process::begin_program();
    std::ptr::null()
}

impl State<'_> {
    fn complete(&mut self, base: u64) -> Result<Arc<Running>, ProgramError> {
        let values = self.import_values(base)?;
        let copies = Copies::find(&self.image.copies)?;
        copies.fill_variables();
        (self.relocated)(&values).map_err(ProgramError::Relocated)?;
        copies.fill_constants()?;
        // Last, for from here on other threads may come to the program through libc.
        let before = std::mem::take(&mut self.loaded_before);
        let mut redirects = Redirects::new(base, copies.moved, before, self.dlopen);
        if let Err(error) = redirects.extend(self.image) {
            redirects.undo();
            return Err(error.into());
        }
        let running = Running::new(base, self.image, redirects, self.dlopen.is_some());
        // The constructors that run next may open libraries.
        running.start();
        standard_streams::vacate();
        Ok(running)
    }

    fn import_values(&self, base: u64) -> Result<Vec<ImportValue>, ProgramError> {
        let imports = &self.image.imports;
        // SAFETY: the stub passes where the image lies, and it was made of these imports.
        let values = unsafe { Image::import_values(base, self.import_table, imports) };
        let mut scope = None;
        let mut bound = Vec::with_capacity(imports.len());
        for (index, (value, binding)) in values.into_iter().enumerate() {
            let import = &imports[index];
            if !self.unbound.get(index).copied().unwrap_or(false) {
                debug_assert!(binding == Binding::Bound || import.weak);
                // The program's code may reach no further than to libraries, so it gets the stub.
                let is_dlopen = self.dlopen.is_some() && import.name == later::NAME;
                bound.push(if is_dlopen {
                    address(base + self.jump_stub)
                } else {
                    value
                });
                continue;
            }
            let scope = scope.get_or_insert_with(|| Scope::without(base));
            let version = import
                .version
                .as_ref()
                .map(|(version, _)| version.as_slice());
            match scope.find(&import.name, version) {
                Some(value) => bound.push(address(value)),
                None if import.weak => bound.push(ImportValue::default()),
                None => {
                    let name = orc_shared::printable_text(&import.name);
                    return Err(ProgramError::Undefined(name));
                }
            }
        }
        Ok(bound)
    }
}

fn address(value: u64) -> ImportValue {
    ImportValue {
        value,
        tls_offset: 0,
    }
}
