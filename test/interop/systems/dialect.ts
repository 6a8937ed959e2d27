import type { IncomingHttpHeaders } from 'node:http'
import { afterAll, afterEach, beforeAll } from 'vitest'
import { buyer } from '../../support/accounts.ts'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../../support/gateway.ts'
import { type LocalServer, readJson, serveLocally } from '../../support/json-server.ts'

export interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}

export interface Answered {
  readonly status: number
  readonly body: unknown
  readonly headers?: Record<string, string>
}

/** What a service does its own way; `next` asks the published facilitator, on a real chain. */
export type Dialect = (asked: Asked, next: () => Promise<Answered>) => Promise<Answered | 'hang-up'>

export interface Shop {
  /** One entry of `facilitators`, or several with commas. */
  readonly facilitators: string
  /** Entries of `accepts`; default: base-sepolia. */
  readonly accepts?: string
  /** More lines of the file. */
  readonly top?: string
  /** Instead of the usual routes. */
  readonly routes?: string
}

export interface Street {
  world(): World
  /** A service of one dialect, in front of the published facilitator. */
  startService(dialect: Dialect): Promise<LocalServer>
  startShop(shop: Shop): Promise<TestGateway>
  /** Closed after the test. */
  keep<Opened extends { close(): Promise<void> }>(opened: Opened): Opened
}

/** A chain for the tests of one file, and services and shops for each of them. */
export function openStreet(options: Parameters<typeof startWorld>[0] = {}): Street {
  let opening: World | null = null
  const opened: { close(): Promise<void> }[] = []
  beforeAll(async () => {
    opening = await startWorld(options)
    await opening.chain.mint(buyer.address, 10n ** 20n)
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map(one => one.close()))
  })
  afterAll(() => opening?.close())

  const world = (): World => {
    if (opening === null) throw new Error('The chain is there only while tests run.')
    return opening
  }
  const keep: Street['keep'] = one => {
    opened.push(one)
    return one
  }
  return {
    world,
    keep,
    startService: async dialect => keep(await serveDialect(dialect, world().facilitator.url)),
    async startShop({ facilitators, accepts = 'base-sepolia', top = '', routes }) {
      const yaml = weatherYaml(world(), { top })
        .replace(/facilitators: .*/, `facilitators: [${facilitators}]`)
        .replace(/accepts: .*/, `accepts: [${accepts}]`)
      const [head] = yaml.split('\nroutes:')
      const text = routes === undefined ? yaml : `${head}\nroutes:\n${routes}`
      return keep(await startTestGateway(text))
    },
  }
}

function serveDialect(dialect: Dialect, realUrl: string): Promise<LocalServer> {
  return serveLocally(async (request, response) => {
    const { method = 'GET', url = '', headers } = request
    const parsed = await readJson(request)
    const asked = { method, url, headers, body: parsed.kind === 'json' ? parsed.value : null }
    const answered = await dialect(asked, () => relay(realUrl, asked))
    if (answered === 'hang-up') {
      response.destroy()
      return
    }
    const type = { 'content-type': 'application/json', ...answered.headers }
    response.writeHead(answered.status, type).end(JSON.stringify(answered.body))
  })
}

async function relay(realUrl: string, { method, url, body }: Asked): Promise<Answered> {
  const reply = await fetch(`${realUrl}/${operationOf(url)}`, {
    method,
    ...(method === 'POST' ? { body: JSON.stringify(body) } : {}),
  })
  return { status: reply.status, body: await reply.json() }
}

/** "verify", "settle" or "supported". */
export function operationOf(url: string): string {
  return url.split('/').at(-1) ?? ''
}
