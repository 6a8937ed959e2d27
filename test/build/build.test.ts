import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { OutputChunk } from 'rolldown'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bundle } from '../../scripts/bundle.ts'
import { runCli, spawnCli } from '../cli/run-cli.ts'
import { BUYER_PRIVATE_KEY, FACILITATOR_PRIVATE_KEY, seller } from '../support/accounts.ts'
import { type ChildGateway, startChildGateway } from '../support/child-gateway.ts'
import { startWorld, type World, weatherYaml } from '../support/gateway.ts'
import { type OwnFolder, ownFolder } from '../support/own-folder.ts'
import { readRows } from '../support/payments.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { workersOf } from '../support/worker-processes.ts'

// A build keeps its compiled code itself.
delete process.env['NODE_COMPILE_CACHE']

/** As it is installed, in a place from where no library of ours is found. */
const installed = mkdtempSync(join(tmpdir(), 'farebox-built-'))
const dist = join(installed, 'dist')
const main = join(dist, 'main.js')
let chunks: readonly OutputChunk[]
let own: OwnFolder

beforeAll(async () => {
  chunks = await bundle(dist)
  cpSync('package.json', join(installed, 'package.json'))
  own = ownFolder()
}, 60_000)
afterAll(async () => {
  own.remove()
  await rm(installed, { recursive: true, force: true })
})

const built = (...words: string[]) => spawnCli(words, {}, main)

describe('what is built', () => {
  test('needs nothing beside itself but Node', () => {
    const names = chunks.flatMap(one => [...one.imports, ...one.dynamicImports])
    const foreign = names.filter(name => !existsSync(join(dist, name)) && !/^node:/.test(name))
    expect(foreign).toEqual([])
    expect(chunks.length).toBeGreaterThan(20)
  })

  test('comes with the licences of all that was put into it', () => {
    const licences = readFileSync(join(dist, 'LICENSES.txt'), 'utf8')
    const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'))
    for (const [name, version] of Object.entries(dependencies)) {
      expect(licences).toContain(`\n${name} ${version}, `)
    }
  })

  test('has no file that cannot be loaded', async () => {
    // They do their work when they are loaded.
    const entries = ['main.js', 'sqlite-worker.js', 'worker-process.js']
    const others = readdirSync(dist).filter(name => name.endsWith('.js') && !entries.includes(name))
    const script = others.map(name => `await import('./${name}')`).join('\n')
    const load = ['--input-type=module', '--eval', script]
    await promisify(execFile)(process.execPath, load, { cwd: dist })
  })

  test('does not load at its start what few gateways need', () => {
    const atStart = loadedWith(['src/cli/program.ts', 'src/config/source.ts', 'src/gateway.ts'])
    expect(atStart.some(module => module.endsWith('/src/gateway.ts'))).toBe(true)
    const few = /\/node_modules\/(viem|ox|pg|rate-limiter-flexible|@x402\/evm|@clack)\//
    expect(atStart.filter(module => few.test(module))).toEqual([])
  })
})

/** Paths of all sources that are in the chunks of some, and in what these import. */
function loadedWith(sources: readonly string[]): string[] {
  const byName = new Map(chunks.map(one => [one.fileName, one]))
  const found = new Set(
    chunks.filter(one => sources.some(source => one.moduleIds.some(id => id.endsWith(source)))),
  )
  for (const one of found) {
    for (const name of one.imports) {
      const imported = byName.get(name)
      if (imported !== undefined) found.add(imported)
    }
  }
  return [...found].flatMap(one => one.moduleIds)
}

describe('every verb says what it says from the sources', () => {
  test.each([
    ['--version'],
    ['--help'],
    ['check', '-c', 'config/examples/several-networks.yaml'],
    ['check', '-c', 'config/examples/facilitators.yaml'],
    ['check', '-c', 'no-such-file.yaml'],
    ['explain', 'GET /v1/quote', '-c', 'config/examples/minimal.yaml'],
    ['networks'],
    ['facilitators'],
    ['facilitator', '-c', 'no-such-file.yaml'],
    ['ledger', 'list', '-c', 'config/examples/minimal.yaml'],
    ['pay', 'http://127.0.0.1:9/', '--yes'],
    ['healthcheck', '--url', 'http://127.0.0.1:9/healthz'],
    ['key', 'no name'],
    ['no-such-verb'],
  ])('%s %s %s', async (...words) => {
    expect(await built(...words)).toEqual(await runCli(words))
  })

  test('and leaves its compiled code for the next start', () => {
    expect(readdirSync(join(dist, '.compile-cache'))).toHaveLength(1)
  })
})

const BOUGHT = { code: 0, stdout: expect.stringContaining('paris') }

describe('a built gateway', () => {
  let world: World
  let postgres: TestPostgres
  let running: ChildGateway | null = null

  beforeAll(async () => {
    ;[world, postgres] = await Promise.all([startWorld(), startPostgres()])
  }, 60_000)
  afterAll(async () => {
    await running?.kill()
    await Promise.all([world.close(), postgres.close()])
  })

  async function start(yaml: string): Promise<ChildGateway> {
    own.write(yaml)
    const gateway = await startChildGateway(own.configFile, { main })
    if (gateway.kind === 'ended') throw new Error(`Not started: ${gateway.stdout}${gateway.stderr}`)
    running = gateway
    return gateway
  }

  const pay = (url: string) =>
    spawnCli(
      ['pay', `${url}/v1/weather/paris`, '--yes'],
      { FAREBOX_PAYER_KEY: BUYER_PRIVATE_KEY },
      main,
    )

  test('settles by itself and keeps its payments in SQLite', async () => {
    const key = FACILITATOR_PRIVATE_KEY
    const local = `local: {networks: {base-sepolia: {rpc: "${world.chain.rpcUrl}"}}, key: "${key}"}`
    const { url, adminUrl, stop } = await start(`version: 1
server: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:0"}
store: {url: "sqlite:${own.storeFile}"}
payTo: "${seller.address}"
accepts: [base-sepolia]
facilitators: [{${local}}]
upstreams: {weather: {url: "${world.api.url}"}}
routes:
  GET /v1/weather/{city}: $0.001
`)
    expect(await pay(url)).toMatchObject(BOUGHT)
    expect(await built('healthcheck', '--url', `${adminUrl}/healthz`)).toMatchObject({ code: 0 })
    expect(await stop()).toBe(0)
    expect(readRows(own.storeFile)).toMatchObject([{ state: 'delivered' }])
    const listed = await built('ledger', 'list', '-c', own.configFile)
    expect(JSON.parse(listed.stdout)).toMatchObject({ state: 'delivered' })
  })

  test('runs workers on one PostgreSQL, which counts for all of them', async () => {
    const storeUrl = await postgres.createSchema('built')
    const top = `version: 1
admin: {listen: "127.0.0.1:0"}
store: {url: "${storeUrl}"}
rateLimit: {requests: 600, per: 1m}`
    const { url, pid, stop } = await start(weatherYaml(world, { top, server: 'workers: 2' }))
    expect(workersOf(pid)).toHaveLength(2)
    expect(await pay(url)).toMatchObject(BOUGHT)
    const counted = await fetch(`${url}/health`)
    expect(counted.headers.get('ratelimit')).toContain('r=')
    expect(await stop()).toBe(0)
  })
})
