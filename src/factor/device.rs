//! Trusted devices: browsers in which somebody need not show a factor at each sign-in.

use std::net::IpAddr;
use std::time::Duration;

use uuid::Uuid;

use super::{Desk, FactorError, Factors};
use crate::identity::Token;
use crate::store::NewDevice;

impl Factors {
    /// Trusts a browser for `life`. The token is for a cookie of it, and nothing else knows it.
    /// `browser` is a summary of what it says of itself.
    ///
    /// # Errors
    /// [`FactorError::Unavailable`].
    pub async fn trust_device(
        &self,
        desk: &Desk<'_>,
        user_id: &str,
        browser: &str,
        source_ip: IpAddr,
        life: Duration,
    ) -> Result<Token, FactorError> {
        let token = Token::generate()?;
        let device = NewDevice {
            id: Uuid::now_v7().to_string(),
            user_id: user_id.to_owned(),
            token_hash: token.hash().0,
            browser: browser.to_owned(),
            source_ip,
            expires_at: desk.now.saturating_add(time::Duration::try_from(life).unwrap_or_default()),
        };
        desk.store.device_add(device, desk.now).await?;
        Ok(token)
    }

    /// The id of the trusted device that sends this token. None when it is not theirs, over, or of
    /// another browser: a copied cookie is worth nothing elsewhere.
    ///
    /// # Errors
    /// [`FactorError::Unavailable`].
    pub async fn trusted(
        &self,
        desk: &Desk<'_>,
        user_id: &str,
        token: &str,
        browser: &str,
    ) -> Result<Option<String>, FactorError> {
        let Some(token) = Token::parse(token) else { return Ok(None) };
        let Some(device) = desk.store.device_find(&token.hash().0).await? else { return Ok(None) };
        let is_theirs = device.user_id == user_id && device.browser == browser && device.is_live(desk.now);
        if !is_theirs {
            return Ok(None);
        }
        desk.store.device_touch(&device.id, desk.now).await?;
        Ok(Some(device.id))
    }
}
