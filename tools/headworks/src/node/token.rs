//! The token of the node's administration: made at the first start, kept in a file that only its owner reads.

use super::directory;
use super::failure::Failure;
use headworks_gateway::http::administration::Token;
use headworks_io::Volume;
use headworks_io::fatal::Reason;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Name of the file in the data directory.
pub const FILE_NAME: &str = "admin.token";
/// Characters of a token: 128 random bits in hexadecimal digits.
const CHARS: usize = 32;

/// The directory's token; a new one where there is none.
///
/// # Errors
/// The file cannot be read or made, or holds no token.
pub fn open(volume: &Volume) -> Result<Token, Failure> {
    let path = volume.path().join(FILE_NAME);
    let found = read(&path);
    if matches!(&found, Err(error) if error.kind() == io::ErrorKind::NotFound) {
        make(volume).map_err(|error| Failure::new(Reason::Storage, format!("cannot make {}: {error}", path.display())))?;
    }
    let text = read(&path).map_err(|error| {
        let reason = if error.kind() == io::ErrorKind::PermissionDenied { Reason::Permission } else { Reason::Storage };
        Failure::new(reason, format!("cannot read {}: {error}; remove the file, and the next start makes another", path.display()))
    })?;
    Ok(Token::new(text))
}

/// The token that stands in a file.
///
/// # Errors
/// It cannot be read, or holds none.
pub fn read(path: &Path) -> io::Result<String> {
    let text = std::fs::read_to_string(path)?;
    let text = text.trim();
    let is_token = text.len() == CHARS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_token
        .then(|| text.to_owned())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("it is not {CHARS} hexadecimal digits")))
}

/// Whole or not there: written beside, made durable, renamed.
fn make(volume: &Volume) -> io::Result<()> {
    let random = directory::random_u128().map_err(|failure| io::Error::other(failure.text))?;
    let partial = volume.file_path(&format!("{FILE_NAME}.partial"))?;
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    writeln!(file, "{random:0width$x}", width = CHARS)?;
    file.sync_all()?;
    std::fs::rename(&partial, volume.file_path(FILE_NAME)?)?;
    volume.sync_directory()
}
