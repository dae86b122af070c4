mod atoms;
mod hostile;
mod languages;
mod relocations;
mod relocations_arm64;
mod thread_locals;
