//! The part of a wave that is done without the session's lock: libraries, the linker's own
//! symbols, generators, and loading archive members.

use std::sync::Arc;

use rayon::prelude::*;

use crate::batch::{DylibId, Resolution};
use crate::error::LinkError;
use crate::in_order::in_order;
use crate::name::NameId;
use crate::native::NativeSymbol;
use crate::object::{LazyObjects, ObjectFile};
use crate::platform::Platform;
use crate::threads;

use crate::session::handles::definitions::{Dylib, Wanted};
use crate::session::lookup::probe::Asked;
use crate::session::lookup::resolve::{Need, Resolver, Want};
use crate::session::messages::clash;
use crate::session::tables::ids::IdSet;
use crate::session::tables::state::Native;
use crate::session::tables::unit::{Source, Unit};

/// Below this many names or members, spreading work over threads costs more than it gains.
const PARALLEL_MIN: usize = 4;

/// An archive member: dylib, archive's rank, member.
pub(in crate::session) type Member = (DylibId, u32, u32);

/// What is behind a dylib's own symbols and archives.
struct Surroundings {
    dylib: DylibId,
    natives: Arc<Vec<Native>>,
    platform: Arc<dyn Platform>,
}

impl Resolver<'_> {
    /// Asks everything that a wave left to ask. Names that are still open are wanted again.
    pub(in crate::session) fn ask(&mut self, asked: Asked) {
        self.ask_natives(asked.natives);
        self.ask_generators(asked.generators);
        self.load_members(asked.members);
    }

    fn ask_natives(&mut self, wants: Vec<(Want, DylibId, u32)>) {
        if wants.is_empty() {
            return;
        }
        let surroundings = self.surroundings(&wants);
        let this = &*self;
        let ask = |(want, dylib, limit): &(Want, DylibId, u32)| {
            let around = surroundings.iter().find(|it| it.dylib == *dylib)?;
            this.ask_one(want, around, *limit)
        };
        let answers: Vec<Option<Resolution>> = if wants.len() < 64 * PARALLEL_MIN {
            wants.iter().map(ask).collect()
        } else {
            threads::share(|| wants.par_iter().with_min_len(64).map(ask).collect())
        };
        for ((want, ..), answer) in wants.into_iter().zip(answers) {
            match answer {
                Some(resolution) => self.answer_extra(&want, resolution),
                None => self.wants.push(want),
            }
        }
    }

    fn surroundings(&self, wants: &[(Want, DylibId, u32)]) -> Vec<Surroundings> {
        let mut surroundings = Vec::new();
        let state = self.session.state.lock();
        let mut seen = IdSet::default();
        for &(_, dylib, _) in wants {
            if seen.insert(dylib) {
                surroundings.push(Surroundings {
                    dylib,
                    natives: state.dylib(dylib).natives.clone(),
                    platform: self.session.platforms.of(dylib),
                });
            }
        }
        surroundings
    }

    /// What the linker or a library before `limit` gives for a name.
    fn ask_one<'a>(&self, want: &Want, around: &'a Surroundings, limit: u32) -> Option<Resolution> {
        let slot = &self.slots[want.slot as usize];
        let name = self.session.names.bytes(want.name);
        // The linker's own names come after archives and before libraries: several libraries
        // still export their own `_end`.
        if slot.by_object
            && want.at == 0
            && want.at_home
            && limit == u32::MAX
            && let Some(defined) = around.platform.linker_defined(&name)
        {
            return Some(Resolution::Linker(defined));
        }
        let before = || around.natives.iter().filter(|native| native.rank < limit);
        let find = |native: &'a Native| Some((native, native.library.find(&name)?));
        let (native, symbol) = match slot.need {
            Need::Weak => {
                let [mut sure, mut others] = [false, true]
                    .map(|it| before().filter(move |native| native.library.is_optional() == it));
                sure.find_map(find).or_else(|| others.find_map(find))?
            }
            _ => before().find_map(find)?,
        };
        let native = NativeSymbol {
            name,
            symbol,
            library: Some(native.library.clone()),
            load_bias: native.load_bias,
            weak: false,
        };
        Some(Resolution::Native(Box::new(native)))
    }

    fn ask_generators(&mut self, wants: Vec<(Want, DylibId)>) {
        let mut dylibs: Vec<DylibId> = wants.iter().map(|(_, dylib)| *dylib).collect();
        dylibs.sort_unstable();
        dylibs.dedup();
        for id in dylibs {
            let wanted = wants.iter().filter(|(_, dylib)| *dylib == id);
            let mut wanted: Vec<Wanted> = wanted
                .map(|(want, _)| Wanted {
                    name: want.name,
                    weak: self.slots[want.slot as usize].need == Need::Weak,
                })
                .collect();
            if let Err(error) = self.generate(id, &mut wanted) {
                self.errors.push(error);
            }
        }
        self.wants.extend(wants.into_iter().map(|(want, _)| want));
    }

    /// Asks a dylib's generators in turn, each for what those before it did not define.
    fn generate(&self, id: DylibId, wanted: &mut Vec<Wanted>) -> Result<(), LinkError> {
        let dylib = Dylib {
            session: self.session.clone(),
            id,
        };
        let generators = self.session.state.lock().dylib(id).generators.clone();
        for generator in generators {
            generator.generate(&dylib, wanted)?;
            let state = self.session.state.lock();
            wanted.retain(|wanted| state.dylib(id).defined(wanted.name).is_none());
            if wanted.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn load_members(&mut self, wants: Vec<(Want, DylibId, u32, u32)>) {
        if wants.is_empty() {
            return;
        }
        let mut members: Vec<Member> = Vec::with_capacity(wants.len());
        let mut seen = hashbrown::HashSet::new();
        for (_, dylib, rank, member) in &wants {
            if seen.insert((*dylib, *rank, *member)) {
                members.push((*dylib, *rank, *member));
            }
        }
        self.pull(&members);
        let session = self.session;
        let mut state = session.state.lock();
        for (want, dylib, rank, member) in wants {
            let dylib = state.dylib_mut(dylib);
            let archive = dylib.archives.get(&rank);
            if archive.is_some_and(|archive| archive.members.contains_key(&member)) {
                // Had the member not defined what the index says, the name would be lazy forever.
                dylib.table.withdraw_lazy(want.name, rank, Some(member));
            }
            self.wants.push(want);
        }
    }

    /// Reads members, in parallel, and adds them to their dylibs, in order. Nothing is claimed yet: the
    /// names that wanted them do that when they are searched again.
    pub(in crate::session) fn pull(&mut self, members: &[Member]) {
        let archives: Vec<_> = {
            let state = self.session.state.lock();
            let archive = |member: &Member| {
                let (dylib, rank, _) = *member;
                let archive = state.dylib(dylib).archives.get(&rank);
                (*member, archive.map(|archive| archive.objects.clone()))
            };
            members.iter().map(archive).collect()
        };
        let mut displaced = IdSet::default();
        let load = |((_, _, number), archive): &(Member, Option<Arc<dyn LazyObjects>>)| {
            Some(archive.as_ref()?.load(*number))
        };
        let mut define = |(member, _): &(Member, _), loaded| match loaded {
            Some(Ok(object)) => self.define_member(*member, object, &mut displaced),
            Some(Err(error)) => self.errors.push(LinkError::from(error)),
            // The archive was removed meanwhile.
            None => {}
        };
        if members.len() < PARALLEL_MIN {
            archives
                .iter()
                .for_each(|member| define(member, load(member)));
        } else {
            in_order(&archives, load, define);
        }
        self.want_again(&displaced);
    }

    /// Adds a loaded member to its dylib. Names whose former definition lost to one of its go to
    /// `displaced`.
    fn define_member(
        &mut self,
        (dylib, rank, member): Member,
        object: Arc<dyn ObjectFile>,
        displaced: &mut IdSet<(DylibId, NameId)>,
    ) {
        let session = self.session;
        let mut state = session.state.lock();
        let Some(archive) = state.dylib_mut(dylib).archives.get_mut(&rank) else {
            return;
        };
        // Another lookup may have pulled it at the same time.
        if archive.members.contains_key(&member) {
            return;
        }
        archive.pulled += 1;
        let order = (rank, archive.pulled);
        let tracker = archive.tracker;
        let source = Source::Object(object);
        let unit = Unit::new(source.clone(), dylib, tracker, order, Some((rank, member)));
        match state.add_unit(unit, Some(self.batch)) {
            Ok((id, names)) => {
                if let Some(archive) = state.dylib_mut(dylib).archives.get_mut(&rank) {
                    archive.members.insert(member, id);
                }
                displaced.extend(names.into_iter().map(|name| (dylib, name)));
            }
            Err(clashes) => {
                let error = clash::error(session, &state, &source.name(), &clashes);
                self.errors.push(error);
            }
        }
    }
}
