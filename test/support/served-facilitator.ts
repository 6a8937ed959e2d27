import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { type FacilitatorService, startFacilitatorService } from '../../src/facilitator-service.ts'
import { FACILITATOR_PRIVATE_KEY } from './accounts.ts'
import type { Chain } from './chain.ts'
import { readRows } from './payments.ts'

/** Keys that the served facilitator of tests knows. */
export const SHOP_KEY = 'shop-key-0123456789abcdef'
export const OTHER_KEY = 'other-key-0123456789abcdef'

export interface ServedFacilitator extends FacilitatorService {
  readonly configFile: string
  /** Everything that was logged so far, as text. */
  readonly log: () => string
  rows(): ReturnType<typeof readRows>
}

export interface ServedOptions {
  /** Of Base Sepolia. */
  readonly rpcUrl?: string
  /** Further members of `local`, as YAML. */
  readonly local?: string
  /** `limits` of the first key, as YAML. */
  readonly limits?: string
  /** Private key that sends; default: the funded one. */
  readonly signingKey?: string
  /** URL of its store; default: a SQLite file beside it. */
  readonly store?: string
}

/** The configuration of one, on free ports, beside its files. */
export function servedYaml(folder: string, rpcUrl: string, options: ServedOptions = {}): string {
  const { local = '', limits = '{}', signingKey = FACILITATOR_PRIVATE_KEY } = options
  const { store = `sqlite:${join(folder, 'facilitator.db')}` } = options
  return `version: 1
listen: "127.0.0.1:0"
admin: {listen: "127.0.0.1:0"}
local:
  networks: {base-sepolia: {rpc: "${rpcUrl}"}}
  key: "${signingKey}"
  journal: "${join(folder, 'journal.db')}"
  settleTimeout: 15s
  ${local}
keys:
  - {name: shop, key: "${SHOP_KEY}", limits: ${limits}}
  - {name: other, key: "${OTHER_KEY}"}
networks: {base-sepolia: {finality: 1}}
store: "${store}"
`
}

/** A facilitator that is served in this process. */
export async function startServedFacilitator(
  chain: Chain,
  options: ServedOptions = {},
): Promise<ServedFacilitator> {
  const folder = await mkdtemp(join(tmpdir(), 'farebox-served-'))
  const configFile = join(folder, 'facilitator.yaml')
  await writeFile(configFile, servedYaml(folder, options.rpcUrl ?? chain.rpcUrl, options))
  const logged: string[] = []
  const log = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logged.push(chunk.toString())
      done()
    },
  })
  const service = await startFacilitatorService({ configFile, log })
  return {
    ...service,
    configFile,
    log: () => logged.join(''),
    rows: () => readRows(join(folder, 'facilitator.db')),
    async close() {
      await service.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
