//! Which gateway a command talks to, and as whom.
//!
//! A saved token goes only to the address that it was saved with; a token that the user gives goes to the
//! gateway that the user names.

use super::World;
use super::address::Address;
use super::arguments::Global;
use super::config::{Config, Rack, is_rack_name};
use super::environment::Environment;
use super::error::ClientError;
use super::token::Token;

/// A gateway, and what there is to show it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) address: Address,
    /// The rack as it is saved, if it is.
    pub(super) rack: Option<Rack>,
    /// The token that the user gave.
    given: Option<Token>,
}

impl Target {
    /// The gateway by `--rack`, `RACK_GATEWAY_URL`, `RACK_GATEWAY_RACK` or `switch`, in this order.
    pub(super) fn find(global: &Global, world: &World<'_>) -> Result<Self, ClientError> {
        let given = given_token(global, &world.environment)?;
        let url = world.environment.get("RACK_GATEWAY_URL");
        let Some(url) = url.filter(|_| global.rack.is_none()) else {
            let rack = saved_rack(global, &world.environment)?;
            return Ok(Self { address: rack.address.clone(), rack: Some(rack), given });
        };
        if world.environment.get("RACK_GATEWAY_RACK").is_some() {
            return Err(ClientError::TwoTargets);
        }
        let address = Address::parse(url).map_err(|error| ClientError::AddressVariable("RACK_GATEWAY_URL", error))?;
        // A CI job has a token and no home.
        let rack = if given.is_some() { None } else { rack_at(&address, &world.environment)? };
        Ok(Self { address, rack, given })
    }

    /// The token to show, or what to do to get one.
    pub(super) fn token(&self, world: &World<'_>) -> Result<&Token, ClientError> {
        if let Some(token) = &self.given {
            return Ok(token);
        }
        let Some(rack) = &self.rack else { return Err(ClientError::NoToken(self.address.to_string())) };
        match &rack.session {
            None => Err(ClientError::SignedOut(rack.name.clone())),
            Some(session) if session.is_over((world.now)()) => Err(ClientError::Ended(rack.name.clone())),
            Some(session) => Ok(&session.token),
        }
    }

    /// A refusal in the words of the credential that was refused.
    pub(super) fn explain(&self, error: ClientError) -> ClientError {
        match (error, &self.given, &self.rack) {
            (ClientError::Refused(problem), Some(_), _) if problem.ends() => ClientError::TokenRefused(problem),
            (ClientError::Refused(problem), None, Some(rack)) if problem.ends() => {
                ClientError::Ended(rack.name.clone())
            }
            (error, ..) => error,
        }
    }
}

fn given_token(global: &Global, environment: &Environment) -> Result<Option<Token>, ClientError> {
    let variable = "RACK_GATEWAY_API_TOKEN";
    let (source, text) = match (&global.api_token, environment.get(variable)) {
        (Some(token), _) => ("--api-token", token.as_str()),
        (None, Some(token)) => (variable, token),
        (None, None) => return Ok(None),
    };
    Token::parse(text).map(Some).ok_or(ClientError::NotAToken(source))
}

/// The saved rack by `--rack`, `RACK_GATEWAY_RACK` or `switch`.
pub(super) fn saved_rack(global: &Global, environment: &Environment) -> Result<Rack, ClientError> {
    let config = Config::read(environment)?;
    let named = global.rack.as_deref().or_else(|| environment.get("RACK_GATEWAY_RACK"));
    let Some(name) = named.or_else(|| config.current()) else {
        return Err(if config.racks()?.is_empty() { ClientError::NoRack } else { ClientError::NoneSelected });
    };
    if !is_rack_name(name) {
        return Err(ClientError::RackName);
    }
    config.rack(name)?.ok_or_else(|| ClientError::UnknownRack(name.to_owned()))
}

/// The saved rack at an address, the current one before others.
fn rack_at(address: &Address, environment: &Environment) -> Result<Option<Rack>, ClientError> {
    let config = Config::read(environment)?;
    let current = config.current().map(str::to_owned);
    let mut racks = config.racks()?;
    racks.retain(|rack| rack.address == *address);
    let at = racks.iter().position(|rack| Some(&rack.name) == current.as_ref()).unwrap_or(0);
    Ok(racks.into_iter().nth(at))
}
