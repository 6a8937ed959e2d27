import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seller } from './accounts.ts'
import { type ChildGateway, type ChildGatewayOptions, startChildGateway } from './child-gateway.ts'
import type { Answer } from './facilitator.ts'
import { startWorld, type World, weatherYaml } from './gateway.ts'
import { serveLocally } from './json-server.ts'
import { readRows } from './payments.ts'
import type { Cure } from './store-faults.ts'

/** What every paid route of the shop answers, unless a test decides otherwise. */
export const CONTENT = 'what was paid for'

/** A gateway in a process of its own over a file of its own: something to take the disk from. */
export interface DiskShop {
  readonly world: World
  readonly gateway: ChildGateway
  readonly storeFile: string
  /** Of a route that is settled on response. */
  readonly url: string
  /** Requests that the upstream saw. */
  readonly executions: number
  /** What the upstream does with the next request. */
  answer: (response: ServerResponse) => void
  /** What the facilitator does instead of settling. */
  settle: (next: () => Promise<Answer>) => Promise<Answer>
  /** Ends a fault when the test has not. */
  cureLater(cure: Cure): void
  /** Starts the gateway again. */
  restart(): Promise<void>
  /** States of the ledger's rows, oldest first. */
  states(): string[]
  /** Payments that have reached the seller. */
  earned(): Promise<bigint>
  /** Each test opens the shop anew. */
  open(): Promise<void>
  shut(): Promise<void>
  close(): Promise<void>
}

const PRICE = 1_000n

/** @param options.through What every gateway is started through. */
export async function buildDiskShop(
  options: Pick<ChildGatewayOptions, 'through'> = {},
): Promise<DiskShop> {
  const intercept = (operation: string, next: () => Promise<Answer>): Promise<Answer> =>
    operation === 'settle' ? shop.settle(next) : next()
  const world = await startWorld({ intercept })
  let executions = 0
  const upstream = await serveLocally(async (_request, response) => {
    executions++
    shop.answer(response)
  })
  const place = { directory: '', configFile: '', storeFile: '' }
  let gateway: ChildGateway
  let balanceBefore = 0n
  let cures: Cure[] = []
  const balance = (): Promise<bigint> => world.chain.balanceOf(seller.address)

  const shop: DiskShop = {
    world,
    get gateway() {
      return gateway
    },
    get storeFile() {
      return place.storeFile
    },
    get url() {
      return `${gateway.url}/v1/weather/paris`
    },
    get executions() {
      return executions
    },
    answer: response => response.end(CONTENT),
    settle: next => next(),
    cureLater: cure => void cures.push(cure),
    async restart() {
      const started = await startChildGateway(place.configFile, options)
      if (started.kind === 'ended') throw new Error(`Not started: ${started.stderr}`)
      gateway = started
      cures.push(() => started.kill())
    },
    states: () => readRows(place.storeFile).map(({ state }) => state),
    earned: async () => ((await balance()) - balanceBefore) / PRICE,
    async open() {
      place.directory = await mkdtemp(join(tmpdir(), 'farebox-disk-'))
      place.storeFile = join(place.directory, 'farebox.db')
      place.configFile = join(place.directory, 'gateway.yaml')
      await writeFile(place.configFile, shopYaml(world, upstream, place.storeFile))
      shop.answer = response => response.end(CONTENT)
      shop.settle = next => next()
      executions = 0
      world.facilitator.calls.settle.length = 0
      balanceBefore = await balance()
      await shop.restart()
    },
    async shut() {
      for (const cure of cures.toReversed()) await cure()
      cures = []
      await rm(place.directory, { recursive: true, force: true })
    },
    async close() {
      await upstream.close()
      await world.close()
    },
  }
  return shop
}

function shopYaml(world: World, api: { readonly url: string }, storeFile: string): string {
  // A public URL, so that a request is the same one after a restart on another port.
  const server = 'publicUrl: "https://shop.example", hosts: ["*"]'
  const top = `version: 1
admin: {listen: 127.0.0.1:0}
store: {url: "sqlite:${storeFile}"}`
  const routes = '  GET /up-front/{thing}: {price: $0.001, settle: before-upstream}'
  return weatherYaml({ facilitator: world.facilitator, api }, { server, top, routes })
}
