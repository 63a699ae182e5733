//! The entries of a tarball, one after the other; of all of them only the manifest is kept.

use std::io::{self, Read};

use super::header::{BLOCK, Header, Kind, Records, records};
use super::names::{Names, Use, parts, stays};
use super::{BundleError, Limits};

/// Most bytes of records about one entry: a name and a few attributes.
const RECORDS: u64 = 64 << 10;

/// Reads all entries and what follows them, which must be nothing.
///
/// # Errors
/// [`BundleError`].
pub(super) fn read(input: &mut impl Read, wanted: &[u8], limits: Limits) -> Result<Vec<u8>, BundleError> {
    let wanted = parts(wanted).filter(|parts| !parts.is_empty()).ok_or(BundleError::Missing)?;
    let input = Bounded { inner: input, read: 0, max: limits.unpacked };
    let mut archive = Archive { input, names: Names::new(limits.entries), limits, wanted, found: None };
    archive.entries()?;
    archive.found.ok_or(BundleError::Missing)
}

struct Archive<'a, R> {
    input: Bounded<R>,
    names: Names,
    limits: Limits,
    wanted: Vec<&'a [u8]>,
    found: Option<Vec<u8>>,
}

impl<R: Read> Archive<'_, R> {
    fn entries(&mut self) -> Result<(), BundleError> {
        let mut about: Option<Records> = None;
        loop {
            let block = self.input.block()?;
            if block == [0; BLOCK] {
                return if about.is_some() { Err(BundleError::Form("records end it")) } else { self.input.end() };
            }
            let header = Header::parse(&block)?;
            match (header.kind, about.take()) {
                (Kind::Pax, None) => about = Some(self.about(&header)?),
                (Kind::Global, None) => {
                    self.about(&header)?;
                }
                (Kind::Pax | Kind::Global, Some(_)) => return Err(BundleError::Form("records follow records")),
                (_, about) => self.entry(header, about.unwrap_or_default())?,
            }
        }
    }

    fn about(&mut self, header: &Header) -> Result<Records, BundleError> {
        if header.size > RECORDS {
            return Err(BundleError::Form("the records about an entry are too long"));
        }
        let raw = self.input.content(header.size, true)?;
        records(&raw, header.kind)
    }

    fn entry(&mut self, header: Header, about: Records) -> Result<(), BundleError> {
        let name = about.path.unwrap_or(header.name);
        let link = about.link.unwrap_or(header.link);
        let parts = parts(&name).ok_or(BundleError::Name)?;
        let used = if header.kind == Kind::Folder { Use::Folder } else { Use::Other };
        // The rack takes a file whose name ends so for a folder.
        if used == Use::Other && (parts.is_empty() || name.ends_with(b"/") || name.ends_with(b"/.")) {
            return Err(BundleError::Name);
        }
        self.names.add(&parts, used)?;
        match header.kind {
            // A symbolic link is seen from its folder, the other one from the root.
            Kind::SymLink if !stays(parts.len().saturating_sub(1), &link) => return Err(BundleError::Link),
            Kind::HardLink if !stays(0, &link) => return Err(BundleError::Link),
            _ => {}
        }
        let is_wanted = parts == self.wanted;
        if is_wanted && header.kind != Kind::File {
            return Err(BundleError::Form("the manifest is no plain file"));
        }
        if is_wanted && header.size > self.limits.manifest {
            return Err(BundleError::Manifest(self.limits.manifest));
        }
        let content = self.input.content(header.size, is_wanted)?;
        if is_wanted {
            self.found = Some(content);
        }
        Ok(())
    }
}

/// The unpacked bytes, up to a limit.
struct Bounded<R> {
    inner: R,
    read: u64,
    max: u64,
}

impl<R: Read> Bounded<R> {
    fn block(&mut self) -> Result<[u8; BLOCK], BundleError> {
        let mut block = [0; BLOCK];
        self.fill(&mut block)?;
        Ok(block)
    }

    fn fill(&mut self, block: &mut [u8]) -> Result<(), BundleError> {
        self.read = self.read.saturating_add(u64::try_from(block.len()).unwrap_or(u64::MAX));
        if self.read > self.max {
            return Err(BundleError::Unpacked(self.max));
        }
        self.inner.read_exact(block).map_err(|error| broken(&error))
    }

    /// The content of an entry, padded to whole blocks; empty unless it is kept.
    fn content(&mut self, size: u64, kept: bool) -> Result<Vec<u8>, BundleError> {
        // Told before it is read: a header may promise more than ever comes.
        if self.read.saturating_add(size) > self.max {
            return Err(BundleError::Unpacked(self.max));
        }
        let mut content = Vec::new();
        let mut left = size;
        while left > 0 {
            let block = self.block()?;
            let used = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
            if kept {
                content.extend_from_slice(block.get(..used).unwrap_or_default());
            }
            left = left.saturating_sub(u64::try_from(used).unwrap_or(u64::MAX));
        }
        Ok(content)
    }

    /// After the first empty block: at least one more, and nothing else to the end of the stream. The rack stops
    /// reading at the second.
    fn end(&mut self) -> Result<(), BundleError> {
        if self.block()? != [0; BLOCK] {
            return Err(BundleError::Form("something follows the end of the tarball"));
        }
        let mut buffer = [0; BLOCK];
        loop {
            let length = match self.inner.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(broken(&error)),
            };
            self.read = self.read.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            if self.read > self.max {
                return Err(BundleError::Unpacked(self.max));
            }
            if buffer.get(..length).unwrap_or_default().iter().any(|byte| *byte != 0) {
                return Err(BundleError::Form("something follows the end of the tarball"));
            }
        }
    }
}

fn broken(error: &io::Error) -> BundleError {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => BundleError::Form("the gzip stream is damaged"),
        _ => BundleError::Broken,
    }
}
