//! The command line. Its help is the short manual; `docs/cli.md` is the long one.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::audit::AuditCommand;
use super::deploy_approval::DeployApprovalCommand;

const AFTER: &str = "\
Environment:
  RACK_GATEWAY_API_TOKEN   token to use instead of a saved session (--api-token goes first)
  RACK_GATEWAY_URL         address of the gateway, where nothing is saved (CI)
  RACK_GATEWAY_RACK        name of a saved rack (--rack goes first)
  RACK_GATEWAY_CA_FILE     PEM file of the authorities that may sign the gateway's certificate
  RACK_GATEWAY_OIDC_TOKEN  identity token of the CI platform, for `token exchange`
  XDG_CONFIG_HOME          folder of rack-gateway/config.json, instead of ~/.config

Exit codes:
  0 yes   1 no: refused, denied, session ended   2 wrong command line or setting   3 could not run
  130 interrupted; `run` ends with the code of the command that it runs

First steps:
  rack-gateway login prod https://gateway.example.com
  rack-gateway run -- convox apps
  eval \"$(rack-gateway env)\"";

/// Sign in at a Rack Gateway, and run `convox` with what you get.
#[derive(Debug, Parser)]
#[command(name = "rack-gateway", version, after_help = AFTER)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command understands.
#[derive(Args)]
pub(super) struct Global {
    /// Saved rack to use, instead of the current one.
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) rack: Option<String>,
    /// Token to use instead of a saved session. Other users of this machine can see a command line: prefer
    /// RACK_GATEWAY_API_TOKEN.
    #[arg(long, global = true, value_name = "TOKEN")]
    pub(super) api_token: Option<String>,
    /// PEM file of the authorities that may sign the gateway's certificate, instead of the system's.
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// The token stays hidden.
impl std::fmt::Debug for Global {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Global").field("rack", &self.rack).field("json", &self.json).finish_non_exhaustive()
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Sign in in the browser, and save the session.
    ///
    /// Shows a short code and a page of the gateway. On that page you sign in, see the same code, and approve
    /// it. Never approve a code that you did not just see in your own terminal. The rack becomes the current one.
    Login(LoginArguments),
    /// End the saved session, here and at the gateway.
    ///
    /// The rack's name and address stay known, so that `login NAME` is enough next time.
    Logout(LogoutArguments),
    /// List the saved racks; the current one is marked.
    Racks,
    /// Make a saved rack the current one.
    Switch {
        /// Name of the rack, as `racks` shows it.
        name: String,
    },
    /// Say who you are at the gateway, and what you may do.
    Whoami {
        /// List every action with what the policy says of it now.
        #[arg(long)]
        actions: bool,
    },
    /// Print the setting that lets `convox` use the gateway: eval "$(rack-gateway env)".
    ///
    /// What is printed contains your token. `rack-gateway run` shows it to nobody.
    Env,
    /// See and end your sessions.
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Get tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Read, take out and verify the log of what happened.
    #[command(subcommand)]
    Audit(Box<AuditCommand>),
    /// Ask for the approval to deploy a commit, wait for it, give it.
    #[command(subcommand)]
    DeployApproval(Box<DeployApprovalCommand>),
    /// Run a command with RACK_URL set to the gateway: rack-gateway run -- convox apps.
    ///
    /// The token is never printed. The exit code is that of the command.
    Run {
        /// The command and its arguments.
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
}

#[derive(Debug, Args)]
pub(super) struct LoginArguments {
    /// What to call the rack on this machine.
    pub(super) name: String,
    /// Address of the gateway, as in https://gateway.example.com; not needed for a rack that is saved.
    pub(super) url: Option<String>,
    /// Do not open the browser; show the page's address only.
    #[arg(long)]
    pub(super) no_open: bool,
}

#[derive(Debug, Args)]
pub(super) struct LogoutArguments {
    /// Forget the rack altogether, even when its gateway does not answer.
    #[arg(long)]
    pub(super) forget: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum SessionsCommand {
    /// List your sessions: browsers, command lines, where and since when.
    List,
    /// End one of your sessions.
    Revoke {
        /// Id, as `sessions list` shows it.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// In CI: exchange the platform's identity token for a token of the gateway that lives for minutes.
    ///
    /// The identity token comes from --oidc-token-file, from RACK_GATEWAY_OIDC_TOKEN, or, in GitHub Actions, from
    /// the runner (the job needs `permissions: id-token: write`; the audience is the gateway's address). Prints
    /// RACK_URL=..., ready for "$GITHUB_ENV".
    Exchange(ExchangeArguments),
}

#[derive(Debug, Args)]
pub(super) struct ExchangeArguments {
    /// File that holds the identity token.
    #[arg(long, value_name = "FILE")]
    pub(super) oidc_token_file: Option<PathBuf>,
}
