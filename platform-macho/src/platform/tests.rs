use super::*;

/// A process whose sections have the names that they have on Linux, and that has all names.
pub(crate) static HOST: Host = Host {
    sections: Sections {
        code: ".text",
        constants: ".rodata",
        relocated_constants: ".data.rel.ro",
        data: ".data",
        zeros: ".bss",
        thread_data: ".tdata",
        thread_zeros: ".tbss",
        initializers: ".init_array",
        finalizers: ".fini_array",
        frames: ".eh_frame",
        exception_tables: ".gcc_except_table",
    },
    meaning: linux::meaning,
};
