mod atoms;
mod hostile;
mod relocations;
mod relocations_arm64;
mod thread_locals;
