//! ApiVersions, key 18, versions 0 to 4: who the client is. Nothing in the answer depends on it; the
//! name is kept for log lines.

use super::Rejected;
use super::reader::Reader;

/// The request. Both fields are `None` before version 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiVersions<'a> {
    /// Name of the client library (since 3).
    pub software_name: Option<&'a str>,
    /// Its version (since 3).
    pub software_version: Option<&'a str>,
}

pub(super) fn read<'a>(reader: &mut Reader<'a>, version: i16) -> Result<ApiVersions<'a>, Rejected> {
    let mut request = ApiVersions { software_name: None, software_version: None };
    if version >= 3 {
        request.software_name = Some(reader.string()?);
        request.software_version = Some(reader.string()?);
    }
    reader.tags()?;
    Ok(request)
}
