//! What is secret, and what stands in its place: names and values that are secret, masks, URLs with
//! credentials, free text, and the fields of the rack's answers that carry credentials; and the environment
//! of a release as text.
//!
//! Pure: text in, text out. Who may see what is policy's business; this room says what there is to ask about.

mod answer;
mod environment;
mod node;
mod rules;
mod stand_in;
mod text;
mod url;

pub use answer::{
    APP, BUILD, CONFIG, ENV_MASK, Field, Fields, INSTANCE_KEY, OTHER, RACK_RELEASE, REGISTRY, RELEASE, RESOURCE,
    SERVICE_MANIFEST, SYSTEM, credentials, environment, variables,
};
pub use environment::{Changes, Environment, EnvironmentError, label};
pub use node::{Node, Unreadable};
pub use rules::{Rules, is_secret_name, is_secret_parameter, is_secret_value};
pub use stand_in::{MASK, Mask};
pub use text::{scrub, scrub_hard, scrub_name, scrub_tokens};
pub use url::{has_credentials, mask_url};
