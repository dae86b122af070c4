//! What a program's libraries ask of it, and what they give to it beside names that it refers to.
//!
//! A linker reads the libraries on its command line as it reads objects:
//! - a name that a library takes from elsewhere is searched for in archives, too: callbacks of
//!   plugins, replaced allocators;
//! - a library that is loaded only if it is of use takes part once a strong reference is bound to it;
//! - a common symbol that a library defines with a value is the library's variable.

use std::sync::Arc;

use crate::batch::{DylibId, Resolution};
use crate::executor::api::NativeKind;
use crate::name::NameId;
use crate::native::NativeSymbol;

use crate::session::lookup::resolve::{Answer, Need, Resolver};
use crate::session::tables::state::Native;
use crate::session::tables::symbol_table::Strength;

impl Resolver<'_> {
    /// The libraries of a dylib, in order.
    pub(in crate::session) fn natives(&self, dylib: DylibId) -> Arc<Vec<Native>> {
        self.session.state.lock().dylib(dylib).natives.clone()
    }

    /// Says of what libraries define whether all references are weak, and drops what is no reason to
    /// load its library, and what has to be defined here.
    pub(in crate::session) fn settle_libraries(&mut self) {
        self.bind_libraries();
        for slot in &mut self.slots {
            if let Answer::Extra(extra) = slot.answer
                && let Some(Resolution::Native(native)) = self.extras.get_mut(extra as usize)
            {
                native.weak = slot.need < Need::Strong;
                let absent = || native.library.as_ref().is_some_and(|l| !l.takes_part());
                if slot.hidden || native.weak && slot.by_object && absent() {
                    slot.answer = Answer::Null;
                }
            }
        }
    }

    /// Tells libraries that strong references are bound to them.
    pub(in crate::session) fn bind_libraries(&self) {
        for slot in self.slots.iter().filter(|s| s.need == Need::Strong) {
            if let Answer::Extra(extra) = slot.answer
                && let Some(Resolution::Native(native)) = self.extras.get(extra as usize)
                && let Some(library) = &native.library
            {
                library.bind();
            }
        }
    }

    /// Wants what the libraries that take part need, as far as archives have it. False if that is
    /// nothing new.
    pub(in crate::session) fn want_for_libraries(&mut self) -> bool {
        let Some(mut program) = self.program.take() else {
            return false;
        };
        if !self
            .session
            .state
            .lock()
            .dylib(program.dylib)
            .archives
            .is_empty()
        {
            self.bind_libraries();
            for native in self.natives(program.dylib).iter() {
                if native.library.takes_part() && program.heard.insert(native.rank) {
                    self.want_for_library(program.dylib, native);
                }
            }
        }
        self.program = Some(program);
        !self.wants.is_empty()
    }

    fn want_for_library(&mut self, dylib: DylibId, native: &Native) {
        let names = &self.session.names;
        let mut required = Vec::new();
        native
            .library
            .for_each_required(&mut |name| required.extend(names.find(name)));
        {
            let state = self.session.state.lock();
            let table = &state.dylib(dylib).table;
            required.retain(|name| table.get(*name).is_some_and(|entry| entry.lazy));
        }
        for name in required {
            self.want(dylib, name, Need::Wanted, false);
        }
    }

    /// Makes common symbols that libraries define with a value references to those. False if there is
    /// none.
    pub(in crate::session) fn take_commons_from_libraries(&mut self) -> bool {
        let Some(mut program) = self.program.take() else {
            return false;
        };
        let mut commons = std::mem::take(&mut program.commons);
        let mut any = false;
        if !commons.is_empty() {
            {
                let state = self.session.state.lock();
                let table = &state.dylib(program.dylib).table;
                commons.retain(|name| {
                    let entry = table.get(*name);
                    entry.is_some_and(|entry| entry.strength == Strength::Common && !entry.lazy)
                });
            }
            let natives = self.natives(program.dylib);
            for name in commons {
                let text = self.session.names.bytes(name);
                let first = natives.iter().find(|n| n.library.find(&text).is_some());
                if let Some(native) = first.and_then(|native| variable(native, &text))
                    && program.given_up.insert(name)
                {
                    self.bind_name(program.dylib, name, native);
                    any = true;
                }
            }
        }
        self.program = Some(program);
        any
    }

    /// Settles a name without a search.
    fn bind_name(&mut self, dylib: DylibId, name: NameId, native: NativeSymbol) {
        let searched = self.wants.len();
        let slot = self.want(dylib, name, Need::Strong, true);
        self.wants.truncate(searched);
        let extra = self.extras.len() as u32;
        self.extras.push(Resolution::Native(Box::new(native)));
        self.slots[slot as usize].answer = Answer::Extra(extra);
    }
}

/// A library's variable that a common symbol of the name stands for.
pub(in crate::session) fn variable(native: &Native, name: &[u8]) -> Option<NativeSymbol> {
    let symbol = native.library.find(name)?;
    let is_variable = symbol.kind == NativeKind::Data && !symbol.weak;
    is_variable.then(|| NativeSymbol {
        name: name.to_vec(),
        symbol,
        library: Some(native.library.clone()),
        load_bias: native.load_bias,
        weak: false,
    })
}
