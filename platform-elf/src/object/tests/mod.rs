mod damaged;
mod graph;
mod hostile;
mod interface;
mod overlapping;
mod relocations;
