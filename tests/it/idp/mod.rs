//! The development identity provider, as a client of the specification sees it, and the browser
//! that signs in there and at a provider that is not ours.

mod browser;
mod ci;
mod code;
mod landing;
mod page;
mod party;
