//! Sessions: dylibs, lookups, materializers, trackers, generators.
