import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { codeOf, pay, readReceipt, readRows, signFor } from '../support/payments.ts'

let world: World
let folder: string
let gateway: TestGateway
let server: Server

const answer: RequestListener = (request, response) => {
  if (request.url === '/up-front/breaks' && breaks) response.destroy()
  else response.end(`content of ${request.url}`)
}
let breaks = true

async function startApi(): Promise<void> {
  server = createServer(answer)
  server.listen(join(folder, 'api.sock'))
  await once(server, 'listening')
}

async function stopApi(): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}

beforeAll(async () => {
  world = await startWorld()
  folder = await mkdtemp(join(tmpdir(), 'farebox-api-'))
  await startApi()
  const routes = `
  GET /up-front/{thing}: {price: $0.001, settle: before-upstream}
  GET /kept: {price: $0.001, replay: {}}`
  const api = { url: `unix:${folder}/api.sock` }
  gateway = await startTestGateway(weatherYaml({ facilitator: world.facilitator, api }, { routes }))
})

afterAll(async () => {
  await gateway.close()
  await stopApi()
  await rm(folder, { recursive: true, force: true })
  await world.close()
})

const admin = async (page: string): Promise<string> =>
  (await fetch(`${gateway.adminUrl}/${page}`)).text()

test('an API that is down sells nothing, forgets nothing that it owes, and comes back by itself', async () => {
  const [owed, kept, fresh] = ['/up-front/breaks', '/kept', '/v1/weather/x'].map(
    path => gateway.url + path,
  ) as [string, string, string] // three went in
  const settled = await signFor(world.chain, owed)
  expect((await pay(owed, settled)).status).toBe(502)
  const replayed = await signFor(world.chain, kept)
  expect(await (await pay(kept, replayed)).text()).toBe('content of /kept')
  const unspent = await signFor(world.chain, fresh)
  const rows = readRows(gateway.storeFile).length
  await world.startCounting()

  await stopApi()
  for (let count = 0; count < 3; count++) {
    expect((await fetch(`${gateway.url}/health`)).status).toBe(502)
  }
  const unpaid = await fetch(fresh)
  expect([unpaid.status, await codeOf(unpaid)]).toEqual([503, 'upstream_unavailable'])
  expect(Number(unpaid.headers.get('retry-after'))).toBeGreaterThan(0)
  const refused = await pay(fresh, unspent)
  expect([refused.status, await codeOf(refused)]).toEqual([503, 'upstream_unavailable'])
  expect(readRows(gateway.storeFile)).toHaveLength(rows)
  const waiting = await pay(owed, settled)
  expect([waiting.status, await codeOf(waiting.clone())]).toEqual([503, 'upstream_unavailable'])
  expect(readReceipt(waiting)?.success).toBe(true)
  expect(await (await pay(kept, replayed)).text()).toBe('content of /kept')

  const target = `unix:${folder}/api.sock`
  expect(await admin('readyz')).toContain(`${target} is down (ENOENT)`)
  const labels = `{upstream="weather",target="${target}"}`
  expect(await admin('metrics')).toContain(`farebox_upstream_up${labels} 0`)
  expect(await admin('metrics')).toContain(`farebox_upstream_ejections_total${labels} 1`)
  const lines = (): unknown[] =>
    gateway.logs.filter(({ msg }) => /^upstream target/.test(String(msg))).map(({ msg }) => msg)
  expect(lines()).toEqual(['upstream target is down'])

  breaks = false
  await startApi()
  await expect.poll(async () => (await fetch(fresh)).status).toBe(402)
  expect(lines()).toEqual(['upstream target is down', 'upstream target is up'])
  expect(await (await pay(owed, settled)).text()).toBe('content of /up-front/breaks')
  expect(await world.earned()).toBe(0n)
  expect(await (await pay(fresh, unspent)).text()).toBe('content of /v1/weather/x')
  expect(await world.earned()).toBe(1_000n)
})
