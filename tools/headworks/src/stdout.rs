//! Standard output of the commands that look at something.
//!
//! A reader that has seen enough (`| head`) is no failure, and the command ends with its own answer; any other refusal of the output is
//! one, or a script would take half for the whole.

use std::fmt;
use std::io::{self, Write};

/// Prints a line, as `println!` does.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::stdout::write(format_args!("{}\n", format_args!($($text)*)))
    };
}
pub(crate) use say;

/// Writes the text.
pub fn write(text: fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => {
            eprintln!("standard output cannot be written: {error}; give it room or another place");
            std::process::exit(1);
        }
    }
}
