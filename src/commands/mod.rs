//! One file per verb: observe, plan, show, apply, report. No decision and no I/O of their own.

#[cfg(feature = "emulator")]
pub mod emulator;
