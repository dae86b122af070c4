//! A session that answers from a table and notes what the linker reports.

use std::sync::Arc;

use hashbrown::HashMap;
use orc_shared::ExecutorAddr;
use parking_lot::Mutex;

use super::objects::Obj;
use crate::batch::{BatchHost, DylibId, Resolution, TrackerId, UnitAddresses};
use crate::error::LinkError;
use crate::executor::Finalized;
use crate::name::NameId;
use crate::statics::Statics;

#[derive(Default)]
pub(super) struct MockHost {
    pub(super) units: Vec<(DylibId, Obj)>,
    pub(super) outside: HashMap<NameId, Resolution>,
    pub(super) pending: HashMap<NameId, ExecutorAddr>,
    pub(super) dependency_error: Mutex<Option<LinkError>>,
    pub(super) outcome: Mutex<Outcome>,
}

#[derive(Default)]
pub(super) struct Outcome {
    pub(super) resolved: Option<Vec<UnitAddresses>>,
    pub(super) emitted: Option<Vec<(TrackerId, Box<dyn Finalized>)>>,
    pub(super) error: Option<LinkError>,
    /// How often the link ended.
    pub(super) ends: usize,
}

impl BatchHost for MockHost {
    fn resolve(&self, dylib: DylibId, name: NameId) -> Resolution {
        let own = self.own_definition(dylib, name);
        let elsewhere = || {
            let mut units = self.units.iter().enumerate();
            units.find_map(|(unit, (_, object))| {
                let symbol = object.defines(name)?;
                Some(Resolution::InBatch {
                    unit: unit as u32,
                    symbol,
                })
            })
        };
        let outside = || self.outside.get(&name).cloned();
        own.or_else(elsewhere)
            .or_else(outside)
            .unwrap_or(Resolution::Null)
    }

    fn own_definition(&self, dylib: DylibId, name: NameId) -> Option<Resolution> {
        let mut units = self.units.iter().enumerate();
        units.find_map(|(unit, (of, object))| {
            let symbol = object.defines(name).filter(|_| *of == dylib)?;
            Some(Resolution::InBatch {
                unit: unit as u32,
                symbol,
            })
        })
    }

    fn other_names(&self, _: DylibId) -> Vec<NameId> {
        Vec::new()
    }

    fn statics(&self, _: Vec<Option<Arc<Statics>>>) {}

    fn resolved(&self, addresses: Vec<UnitAddresses>) {
        self.outcome.lock().resolved = Some(addresses);
    }

    fn when_dependencies_resolved(&self, then: Box<dyn FnOnce(Result<(), LinkError>) + Send>) {
        then(self.dependency_error.lock().take().map_or(Ok(()), Err));
    }

    fn pending_address(&self, _dylib: DylibId, name: NameId) -> Option<ExecutorAddr> {
        self.pending.get(&name).copied()
    }

    fn in_place(&self) {}

    fn emitted(&self, allocations: Vec<(TrackerId, Box<dyn Finalized>)>) {
        let mut outcome = self.outcome.lock();
        outcome.emitted = Some(allocations);
        outcome.ends += 1;
    }

    fn failed(&self, error: LinkError) {
        let mut outcome = self.outcome.lock();
        outcome.error = Some(error);
        outcome.ends += 1;
    }
}
