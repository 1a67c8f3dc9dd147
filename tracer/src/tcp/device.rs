//! Network devices, as users see them.

use std::fmt;

/// Bytes of a device's name, with the terminating zero (`IFNAMSIZ`).
const NAME_LEN: usize = 16;

/// The name of a network device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct DeviceName {
    bytes: [u8; NAME_LEN],
    len: u8,
}

impl DeviceName {
    /// `None` for a name that would need escaping somewhere. The kernel allows nearly any bytes in a name
    /// (`dev_valid_name`), and a device without a name still has its number.
    ///
    /// ```
    /// use tracer::tcp::device::DeviceName;
    ///
    /// assert_eq!(DeviceName::new("eth0.7").unwrap().as_str(), "eth0.7");
    /// assert_eq!(DeviceName::new("\u{1b}[2J"), None);
    /// ```
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@+".contains(&byte);
        if name.is_empty() || name.len() >= NAME_LEN || !name.bytes().all(is_plain) {
            return None;
        }
        let mut bytes = [0; NAME_LEN];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Some(Self { bytes, len: u8::try_from(name.len()).ok()? })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.as_str().to_owned()
    }
}

/// A name that would need escaping.
#[derive(Debug, thiserror::Error)]
#[error("not the plain name of a device")]
pub struct NotPlain;

impl TryFrom<String> for DeviceName {
    type Error = NotPlain;

    fn try_from(name: String) -> Result<Self, NotPlain> {
        Self::new(&name).ok_or(NotPlain)
    }
}

/// A network device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// By its name.
    Named(DeviceName),
    /// By its index: its name is not known.
    Numbered(u32),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name.as_str()),
            Self::Numbered(index) => write!(f, "{index}"),
        }
    }
}
