import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { type Gateway, startGateway } from '../../src/gateway.ts'
import { buyer, seller } from './accounts.ts'
import { type Chain, type ChainOptions, startChain } from './chain.ts'
import {
  type FacilitatorOptions,
  type ReferenceFacilitator,
  startFacilitator,
} from './facilitator.ts'
import { readRows } from './payments.ts'
import { startWeatherApi, type WeatherApi, type WeatherApiOptions } from './weather-api.ts'

/** A gateway under test, its files, and what it logged. */
export interface TestGateway extends Gateway {
  readonly configFile: string
  /** The SQLite file. */
  readonly storeFile: string
  /** States of the rows of its own file, oldest first. */
  states(): string[]
  /** Log lines so far, oldest first. */
  readonly logs: Record<string, unknown>[]
  /** Replaces the configuration file; call `reload` to put it in force. */
  write(yaml: string): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Starts a gateway on free ports. `yaml` is everything but listeners and store. */
export async function startTestGateway(
  yaml: string,
  options: {
    readonly watch?: boolean
    readonly storeUrl?: string
    /** Done in the folder of the configuration file before the start. */
    readonly prepare?: (folder: string) => Promise<void>
  } = {},
): Promise<TestGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'farebox-test-'))
  const configFile = join(folder, 'gateway.yaml')
  const storeFile = join(folder, 'farebox.db')
  const write = (text: string): Promise<void> =>
    writeFile(configFile, `${fixedPart(options.storeUrl ?? `sqlite:${storeFile}`)}\n${text}\n`)
  await write(yaml)
  await options.prepare?.(folder)
  const logs: Record<string, unknown>[] = []
  const gateway = await startGateway({ configFile, log: collectLines(logs), ...options })
  const close = async (): Promise<void> => {
    await gateway.close()
    await rm(folder, { recursive: true, force: true })
  }
  const { url, adminUrl, reload } = gateway
  const states = (): string[] => readRows(storeFile).map(({ state }) => state)
  const parts = { url, adminUrl, reload, configFile, storeFile, states, logs, write, close }
  return { ...parts, [Symbol.asyncDispose]: close }
}

function fixedPart(storeUrl: string): string {
  return `version: 1
admin: {listen: 127.0.0.1:0}
store: {url: "${storeUrl}"}`
}

function collectLines(lines: Record<string, unknown>[]): Writable {
  let rest = ''
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      const pieces = (rest + chunk.toString()).split('\n')
      rest = pieces.pop() ?? ''
      for (const piece of pieces) lines.push(JSON.parse(piece))
      done()
    },
  })
}

/** A chain, the reference facilitator, an API and a buyer who has money: a gateway needs no more. */
export interface World {
  readonly chain: Chain
  readonly facilitator: ReferenceFacilitator
  readonly api: WeatherApi
  /** What reached the seller is counted from now on. */
  startCounting(): Promise<void>
  /** What has reached the seller since, in atomic units. */
  earned(): Promise<bigint>
  close(): Promise<void>
}

export async function startWorld(
  options: Omit<FacilitatorOptions, 'chain'> &
    WeatherApiOptions &
    Pick<ChainOptions, 'chainId'> = {},
): Promise<World> {
  const { chainId } = options
  const chain = await startChain(chainId === undefined ? {} : { chainId })
  await chain.mint(buyer.address, 1_000_000_000n)
  const facilitator = await startFacilitator({ ...options, chain })
  const api = await startWeatherApi(options)
  let before = 0n
  return {
    chain,
    facilitator,
    api,
    async startCounting() {
      before = await chain.balanceOf(seller.address)
    },
    earned: async () => (await chain.balanceOf(seller.address)) - before,
    async close() {
      await Promise.all([api.close(), facilitator.close()])
      await chain.close()
    },
  }
}

/** The usual configuration: everything that `startWeatherApi` serves, with a price. */
export function weatherYaml(
  { facilitator, api }: { facilitator: { url: string }; api: { url: string } },
  extra: { readonly server?: string; readonly top?: string; readonly routes?: string } = {},
): string {
  return `
server: {listen: "127.0.0.1:0"${extra.server ? `, ${extra.server}` : ''}}
payTo: "${seller.address}"
accepts: [base-sepolia]
facilitators: ["${facilitator.url}"]
upstreams: {weather: {url: "${api.url}"}}
${extra.top ?? ''}
routes:
  GET /v1/weather/{city}: $0.001
  GET /v1/forecast/{city}/stream: $0.01
  POST /v1/report: {price: $0.25, description: Ein Bericht für Zürich ☔}
  GET /v1/broken: $0.001
  /health: free
${extra.routes ?? ''}
`
}
