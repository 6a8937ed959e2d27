import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Ajv2020 from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { facilitatorJsonSchema, gatewayJsonSchema } from '../../src/config/json-schema.ts'
import { loadConfig, loadFacilitatorServiceConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problems.ts'
import { coinbaseEd25519Key, payaiKey } from '../facilitator/api-keys.ts'
import { createAuthority } from '../support/certificates.ts'
import { PAY_TO, problemsOf, SOLANA_PAY_TO } from './support.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const EXAMPLES = readdirSync(join(ROOT, 'config/examples')).filter(name => name.endsWith('.yaml'))
const FILES = ['gateway.example.yaml', ...EXAMPLES.map(name => join('config/examples', name))]

/** A copy beside the secret files that the examples speak of. */
function copyToTemporary(file: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'farebox-examples-'))
  mkdirSync(join(directory, 'secrets'))
  writeFileSync(join(directory, 'secrets/weather-key'), 'k-1\n')
  writeFileSync(join(directory, 'secrets/tls.crt'), pair.cert)
  writeFileSync(join(directory, 'secrets/tls.key'), pair.key)
  writeFileSync(join(directory, 'secrets/clients.crt'), authority.cert)
  copyFileSync(join(ROOT, file), join(directory, 'gateway.yaml'))
  return join(directory, 'gateway.yaml')
}

const authority = await createAuthority()
const pair = await authority.issue({ name: 'api.example.com' })

const cdp = coinbaseEd25519Key()
const payai = payaiKey()
const keys = {
  ...{ CDP_API_KEY_ID: cdp.keyId, CDP_API_KEY_SECRET: cdp.keySecret },
  ...{ MY_KEY_ID: payai.keyId, MY_KEY_SECRET: payai.keySecret },
}

const compile = (schema: string) =>
  new Ajv2020.Ajv2020({ strict: true, allowUnionTypes: true }).compile(JSON.parse(schema))
const validate = compile(gatewayJsonSchema())

describe.each(FILES)('%s', file => {
  it('loads', async () => {
    const env = {
      PAY_TO,
      SOLANA_PAY_TO,
      FACILITATOR_KEY: '11'.repeat(32),
      BASE_RPC_KEY: 'k-3',
      ...keys,
    }
    const result = await loadConfig(copyToTemporary(file), { env })
    expect(result.kind === 'invalid' ? result.problems.map(formatProblem) : []).toEqual([])
  })

  it('fits the published schema, as an editor sees it', () => {
    validate(parse(readFileSync(join(ROOT, file), 'utf8')))
    expect(validate.errors).toBeNull()
  })
})

describe('config/examples/facilitator/facilitator.yaml', () => {
  const file = 'config/examples/facilitator/facilitator.yaml'

  it('loads', async () => {
    const env = { FACILITATOR_KEY: '11'.repeat(32), BASE_RPC_KEY: 'k-3', GUEST_KEY: 'g'.repeat(20) }
    const result = await loadFacilitatorServiceConfig(copyToTemporary(file), { env })
    expect(result.kind === 'invalid' ? result.problems.map(formatProblem) : []).toEqual([])
  })

  it('fits the published schema, as an editor sees it', () => {
    const validateFacilitator = compile(facilitatorJsonSchema())
    validateFacilitator(parse(readFileSync(join(ROOT, file), 'utf8')))
    expect(validateFacilitator.errors).toBeNull()
  })
})

describe('the published schema', () => {
  it('is what the code says: run `npm run generate` when this fails', () => {
    const published = (name: string): string => readFileSync(join(ROOT, 'config', name), 'utf8')
    expect(published('gateway.schema.json') === gatewayJsonSchema()).toBe(true)
    expect(published('facilitator.schema.json') === facilitatorJsonSchema()).toBe(true)
  })

  it.each([
    'version: 1',
    'version: 1\nupstreams: {a: http://a}\nroutes: {/a: {price: free, pirce: free}}',
    'version: 1\nupstreams: {a: http://a}\nroutes: {/a: {price: free, timeout: 60}}',
    'version: 1\nupstreams: {a: http://a}\nroutes: {/a: [free]}',
  ])('refuses what the gateway refuses: %j', text => {
    expect(problemsOf(text).length).toBeGreaterThan(0)
    expect(validate(parse(text))).toBe(false)
  })

  it('documents every key', () => {
    expect(undocumented(JSON.parse(gatewayJsonSchema()), '')).toEqual([])
    expect(undocumented(JSON.parse(facilitatorJsonSchema()), '')).toEqual([])
  })
})

interface JsonSchema {
  readonly description?: string
  readonly properties?: Record<string, JsonSchema>
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly additionalProperties?: JsonSchema | boolean
}

function undocumented(schema: JsonSchema, path: string): string[] {
  const { properties = {}, items, anyOf = [], additionalProperties } = schema
  const entries = typeof additionalProperties === 'object' ? [additionalProperties] : []
  const inner = [...anyOf, ...(items ? [items] : []), ...entries]
  return [
    ...Object.entries(properties).flatMap(([key, member]) => [
      ...(member.description ? [] : [`${path}.${key}`]),
      ...undocumented(member, `${path}.${key}`),
    ]),
    ...inner.flatMap(member => undocumented(member, path)),
  ]
}
