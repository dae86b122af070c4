mod graph;
mod hostile;
mod interface;
mod relocations;
