// Passkeys and security keys, by the browser (Web Authentication, level 3: the forms as JSON, §5.1.8-10).

const MISSING = 'This browser cannot use passkeys here: it is too old, or they are turned off. Take another way.';

/** What went wrong, for people. */
function explained(error) {
  const texts = {
    NotAllowedError: 'The passkey was not used: it was cancelled, or it took too long. Try again.',
    InvalidStateError: 'This passkey is one of your factors already.',
    SecurityError: 'Passkeys do not work at this address: open the gateway by its own name.',
    AbortError: 'Cancelled.',
  };
  return error instanceof DOMException ? new Error(texts[error.name] ?? MISSING) : error;
}

function able(parse) {
  if (!globalThis.PublicKeyCredential?.[parse]) throw new Error(MISSING);
}

/** A new passkey for these options of the gateway, as JSON. */
export async function creation({ publicKey }) {
  able('parseCreationOptionsFromJSON');
  try {
    const options = PublicKeyCredential.parseCreationOptionsFromJSON(publicKey);
    const made = await navigator.credentials.create({ publicKey: options });
    return made.toJSON();
  } catch (error) {
    throw explained(error);
  }
}

/** What a passkey says to these options of the gateway, as JSON. */
export async function assertion({ publicKey }, signal) {
  able('parseRequestOptionsFromJSON');
  try {
    const options = PublicKeyCredential.parseRequestOptionsFromJSON(publicKey);
    const shown = await navigator.credentials.get({ publicKey: options, signal });
    return shown.toJSON();
  } catch (error) {
    throw explained(error);
  }
}
