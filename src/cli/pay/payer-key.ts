import { open } from 'node:fs/promises'
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'
import { type Failed, usageFailure } from '../failure.ts'

/** Where the payer's private key is. Never an argument: other users of the machine see those. */
export type KeySource =
  | { readonly kind: 'environment'; readonly name: string }
  | { readonly kind: 'file'; readonly path: string }

export type PayerKey = { readonly kind: 'account'; readonly account: PrivateKeyAccount } | Failed

const KEY_FILE_BYTES_MAX = 1024

/** Reads the key. Nothing that is said about a bad one repeats any part of it. */
export async function readPayerKey(
  source: KeySource,
  environment: NodeJS.ProcessEnv,
): Promise<PayerKey> {
  const place = placeOf(source)
  const text = source.kind === 'file' ? await readStart(source.path) : environment[source.name]
  if (text === undefined || text === null || text.trim() === '') return noKey(place)
  const digits = /^(?:0x)?([0-9a-fA-F]{64})$/.exec(text.trim())?.[1]
  if (digits === undefined) return badKey(place)
  try {
    return { kind: 'account', account: privateKeyToAccount(`0x${digits}`) }
  } catch {
    // Zero, or not below the curve's order. The library's message could repeat the key.
    return badKey(place)
  }
}

/** A key that was given as the name of its place must not be repeated either. */
function placeOf(source: KeySource): string {
  const name = source.kind === 'environment' ? source.name : source.path
  const shown = /[0-9a-fA-F]{64}/.test(name) ? 'that was named' : name
  return `The ${source.kind === 'environment' ? 'environment variable' : 'file'} ${shown}`
}

/** The first bytes of a file; null when it cannot be read. A key is never longer. */
async function readStart(path: string): Promise<string | null> {
  try {
    await using file = await open(path)
    const buffer = Buffer.alloc(KEY_FILE_BYTES_MAX)
    const { bytesRead } = await file.read(buffer)
    return buffer.toString('latin1', 0, bytesRead)
  } catch {
    return null
  }
}

function noKey(place: string): Failed {
  return usageFailure(
    'no_key',
    `${place} holds no key, so nothing can be signed.`,
    'Put the private key of the account that pays into FAREBOX_PAYER_KEY, or name another ' +
      'variable with --key-env, or a file with --key-file.',
  )
}

function badKey(place: string): Failed {
  return usageFailure(
    'bad_key',
    `${place} does not hold a private key.`,
    'A private key is 64 hexadecimal digits, with or without 0x in front.',
  )
}
