import { readCoinbaseKey } from '../facilitator/auth/coinbase.ts'
import { readPayaiKey } from '../facilitator/auth/payai.ts'
import type { CheckContext } from './check-context.ts'
import type { FacilitatorPreset } from './facilitator-presets.ts'
import type { FacilitatorAuth } from './gateway-config.ts'
import type { Finding, Path } from './problems.ts'
import type { FacilitatorAuthSetting } from './schema-upstreams.ts'
import { resolveVariables, variablesIn } from './variables.ts'

const NONE: FacilitatorAuth = { kind: 'none' }

/** What the operator wrote as `auth`, of which the variables have been looked up. */
export function checkAuth(
  auth: FacilitatorAuthSetting,
  path: Path,
  context: CheckContext,
): FacilitatorAuth {
  if (auth.kind === 'path') return auth
  if (!KEY_ID.test(auth.keyId)) context.report([...path, 'keyId'], WRONG_ID)
  const key = READERS[auth.kind](auth.keySecret)
  if (key.kind === 'refused') context.report([...path, 'keySecret'], key)
  return auth
}

/**
 * The keys of a preset, from the variables that it names. Where it also serves who has none, not
 * setting any means that; a key that is there and wrong never does.
 *
 * @param path Where the preset is named: what it says itself is in no file of the operator's.
 */
export function checkPresetAuth(
  { auth, anonymous }: FacilitatorPreset,
  path: Path,
  context: CheckContext,
): FacilitatorAuth {
  if (auth === null) return NONE
  const written = auth.kind === 'path' ? [auth.key] : [auth.keyId, auth.keySecret]
  const isAbsent = written.flatMap(variablesIn).every(name => context.env[name] === undefined)
  if (anonymous && isAbsent) return NONE
  const [first, second] = written.map(text => resolvePresetText(text, path, context))
  if (auth.kind === 'path') return first ? { kind: 'path', key: first } : NONE
  if (!first || !second) return NONE
  const [idName = '', secretName = ''] = written.flatMap(variablesIn)
  const { message, cure } = WRONG_ID
  if (!KEY_ID.test(first)) context.report(path, { message: `${idName} ${message}`, cure })
  const key = READERS[auth.kind](second)
  if (key.kind === 'refused') {
    context.report(path, { message: `${secretName} ${key.message}`, cure: key.cure })
  }
  return { kind: auth.kind, keyId: first, keySecret: second }
}

/** Headers that a preset asks for; those that the operator writes come instead. */
export function checkPresetHeaders(
  preset: FacilitatorPreset,
  own: Readonly<Record<string, string>>,
  { path, context }: { readonly path: Path; readonly context: CheckContext },
): Record<string, string> {
  const asked = Object.entries(preset.headers).filter(([name]) => !(name in own))
  const headers = asked.map(([name, text]) => [name, resolvePresetText(text, path, context) ?? ''])
  return { ...Object.fromEntries(headers), ...own }
}

const READERS = { coinbase: readCoinbaseKey, payai: readPayaiKey }

const KEY_ID = /^[\x21-\x7e]{1,512}$/
const WRONG_ID: Finding = {
  message: 'has a space or a character beyond ASCII in it',
  cure: 'Copy the id of the key again.',
}

function resolvePresetText(text: string, path: Path, context: CheckContext): string | null {
  const { value, findings } = resolveVariables(text, context)
  for (const finding of findings) context.report(path, finding)
  return findings.length === 0 ? value : null
}
