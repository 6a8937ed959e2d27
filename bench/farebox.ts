import { existsSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from './measured-process.ts'
import { PAY_TO } from './payments.ts'

export interface FareboxOptions {
  readonly folder: string
  readonly upstream: string
  readonly facilitator: string
  /** 'file', 'memory', or a store's URL. Default: a file. */
  readonly store?: string
  /** Default: one. */
  readonly workers?: number
  /** Whose X-Forwarded-For is believed. Default: nobody's. */
  readonly trustedProxies?: readonly string[]
  /** YAML lines. Default: one priced route and one free one. */
  readonly routes?: readonly string[]
}

/** A gateway that is configured and not started. */
export interface FareboxFiles {
  readonly program: readonly string[]
  readonly port: number
  readonly adminPort: number
  readonly outputFile: string
}

export const PAID_PATH = '/paid'
export const FREE_PATH = '/free'
const ROUTES = [`GET ${PAID_PATH}: $0.001`, `GET ${FREE_PATH}: free`]

const ROOT = join(import.meta.dirname, '..')
const BUILT = join(ROOT, 'dist', 'main.js')

/** What users run, where it was built; else the sources, which Node.js runs as they are. */
export function fareboxEntry(): string {
  return existsSync(BUILT) ? BUILT : join(ROOT, 'src', 'main.ts')
}

/** Writes a configuration into a folder of its own. Logs are on: one line a request, to a file. */
export async function configureFarebox(options: FareboxOptions): Promise<FareboxFiles> {
  const { upstream, facilitator, store = 'file', routes = ROUTES, workers = 1 } = options
  const { trustedProxies = [] } = options
  const folder = await mkdtemp(join(options.folder, 'farebox-'))
  const [port, adminPort] = [await freePort(), await freePort()]
  const named = new Map([
    ['file', `sqlite:${join(folder, 'farebox.db')}`],
    ['memory', 'sqlite::memory:'],
  ])
  const storeUrl = named.get(store) ?? store
  const configFile = join(folder, 'gateway.yaml')
  const yaml = `version: 1
server: {listen: "127.0.0.1:${port}", publicUrl: "https://api.example.com", workers: ${workers}, trustedProxies: ${JSON.stringify(trustedProxies)}}
admin: {listen: "127.0.0.1:${adminPort}"}
store: {url: "${storeUrl}"}
payTo: "${PAY_TO}"
accepts: [base-sepolia]
facilitators: ["${facilitator}"]
upstreams: {api: {url: "${upstream}"}}
routes:
${routes.map(route => `  ${route}\n`).join('')}`
  await writeFile(configFile, yaml)
  return {
    program: [fareboxEntry(), 'start', '-c', configFile],
    port,
    adminPort,
    outputFile: join(folder, 'output.log'),
  }
}
