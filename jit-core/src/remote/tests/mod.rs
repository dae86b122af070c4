//! The controller's end against peers that follow a script: good ones, and hostile ones.

mod connection;
mod hostile;
mod peer;
