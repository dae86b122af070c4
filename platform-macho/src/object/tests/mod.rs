mod atoms;
mod hostile;
mod relocations;
mod thread_locals;
