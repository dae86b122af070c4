//! What a session calls its dylibs, trackers and units, in all that it says to its linker.

/// Names a dylib of a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DylibId(pub u32);

/// Names a tracker of a session: what can be removed as one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TrackerId(pub u32);

/// Names a materialization unit of a session: an object, or a client's materializer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UnitId(pub u32);
