//! The first administrators: somebody has to add everybody else.

use crate::store::StoreError;

use super::{IssueError, Issuer};

/// The role of administrators, as the default policies declare it.
pub const ADMIN_ROLE: &str = "admin";

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bootstrap {
    /// Nothing: somebody who is not locked is an administrator already.
    HasAdmin,
    /// People were added.
    Done {
        /// Who was added, by address.
        created: Vec<String>,
        /// Who is known already, and stays as they are.
        known: Vec<String>,
    },
}

impl Issuer<'_> {
    /// Adds people, by address and name, as administrators, while there is none. Nobody who is known
    /// is changed: an address alone makes nobody an administrator.
    ///
    /// # Errors
    /// When it cannot be recorded or kept.
    pub async fn bootstrap(&self, people: &[(&str, &str)]) -> Result<Bootstrap, IssueError> {
        if self.store().users_with_role(ADMIN_ROLE).await? > 0 {
            return Ok(Bootstrap::HasAdmin);
        }
        let (mut created, mut known) = (Vec::new(), Vec::new());
        for (email, name) in people {
            if self.store().user_find_by_email(email).await?.is_some() {
                known.push((*email).to_owned());
                continue;
            }
            match self.create_user(email, name, &[ADMIN_ROLE.to_owned()]).await {
                Ok(_) => created.push((*email).to_owned()),
                // Another replica starts at the same time.
                Err(IssueError::Store(StoreError::Conflict(_))) => known.push((*email).to_owned()),
                Err(error) => return Err(error),
            }
        }
        Ok(Bootstrap::Done { created, known })
    }
}
