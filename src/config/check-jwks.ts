import { createPublicKey, type JsonWebKeyInput } from 'node:crypto'
import type { JwksConfig } from './access-config.ts'
import type { CheckContext } from './check-context.ts'
import { readHttpUrl } from './check-url.ts'
import type { Finding, Path } from './problems.ts'

type JsonWebKey = JsonWebKeyInput['key']

const HOW = `Write an https URL, or "\${file:./jwks.json}" for a file of public keys.`

/** Whoever can write to it on its way could make keys of his own. */
const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/

/** The findings never repeat the text: it may be a key. */
export function checkJwks(text: string, path: Path, context: CheckContext): JwksConfig {
  const json = text.trimStart().startsWith('{')
  const finding = json ? judgeKeys(text) : judgeUrl(text)
  if (finding !== null) context.report(path, finding)
  return json ? { kind: 'inline', json: text } : { kind: 'url', url: text }
}

function judgeUrl(text: string): Finding | null {
  const url = /^https?:\/\/[^\s\\#]+$/i.test(text) ? URL.parse(text) : null
  if (url === null) return { message: 'is neither a URL nor a set of keys', cure: HOW }
  const bare = readHttpUrl(url.origin + url.pathname)
  if (bare.kind === 'refused') return bare
  if (url.username !== '' || url.password !== '') {
    return { message: 'has a user name or password in it', cure: 'Public keys need none.' }
  }
  if (url.protocol === 'https:' || LOOPBACK.test(url.hostname)) return null
  return { message: 'is not https, so anybody on the way could put in keys', cure: HOW }
}

function judgeKeys(text: string): Finding | null {
  const keys = readKeys(text)
  if (keys === null || keys.length === 0) {
    return { message: 'is no JSON with a list of keys (RFC 7517)', cure: HOW }
  }
  if (keys.some(key => 'd' in key || 'k' in key)) {
    const cure = 'Leave the private members out: whoever has them makes tokens.'
    return { message: 'has a private or symmetric key in it', cure }
  }
  const broken = keys.findIndex(key => !isPublicKey(key))
  if (broken === -1) return null
  return {
    message: `has a key that is none: keys[${broken}]`,
    cure: 'Ask the issuer for it again.',
  }
}

function readKeys(text: string): JsonWebKey[] | null {
  try {
    const { keys } = JSON.parse(text)
    const isList = Array.isArray(keys) && keys.every(key => typeof key === 'object' && key !== null)
    return isList ? keys : null
  } catch {
    return null
  }
}

function isPublicKey(key: JsonWebKey): boolean {
  try {
    createPublicKey({ key, format: 'jwk' })
    return true
  } catch {
    return false
  }
}
