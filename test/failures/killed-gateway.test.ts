import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { buyer, seller } from '../support/accounts.ts'
import type { Answer } from '../support/facilitator.ts'
import { startWorld, type World, weatherYaml } from '../support/gateway.ts'
import { pay, readRows, signFor } from '../support/payments.ts'
import { spawnTied } from '../support/tied-process.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** What the facilitator does instead of its first settle. */
let fault: (next: () => Promise<Answer>) => Promise<Answer>
let world: World
let folder: string
let configFile: string
let storeFile: string
const running: { stop(): Promise<void> }[] = []

beforeEach(async () => {
  const faults = [(next: () => Promise<Answer>) => fault(next)]
  world = await startWorld({
    intercept: (operation, next) =>
      (operation === 'settle' ? faults.shift()?.(next) : undefined) ?? next(),
  })
  await world.chain.mint(buyer.address, 1_000_000n)
  folder = await mkdtemp(join(tmpdir(), 'farebox-killed-'))
  configFile = join(folder, 'gateway.yaml')
  storeFile = join(folder, 'farebox.db')
  const top = `networks: {base-sepolia: {rpc: ["${world.chain.rpcUrl}"], finality: 2}}`
  const fixed = `version: 1\nadmin: off\nstore: {url: "sqlite:${storeFile}"}`
  await writeFile(configFile, `${fixed}\n${weatherYaml(world, { top })}`)
})

afterEach(async () => {
  for (const child of running.splice(0)) await child.stop()
  await world.close()
  await rm(folder, { recursive: true })
})

const states = (): string[] => readRows(storeFile).map(({ state }) => state)

test.each<[string, boolean]>([
  ['after the money moved', true],
  ['before it moved', false],
])(
  'a gateway killed %s, and before it wrote down so, finishes the row when it runs again',
  async (_, moves) => {
    const asked = Promise.withResolvers<void>()
    fault = async next => {
      if (moves) await next()
      asked.resolve()
      return new Promise(() => {})
    }
    const killed = await startChild()
    const target = `${killed.url}/v1/weather/paris`
    const payment = await signFor(world.chain, target)
    const answer = pay(target, payment).catch(() => 'cut off')
    await asked.promise
    await killed.stop()
    expect(await answer).toBe('cut off')
    expect(states()).toEqual(['settling'])
    letHoldsRunOut()

    const next = await startChild()
    await next.resolved
    expect(states()).toEqual(['settled'])
    // A payment is for one origin, and this gateway listens on another port.
    const { host } = new URL(target)
    expect(await statusOf(`${next.url}/v1/weather/paris`, host, payment)).toBe(200)
    await expect.poll(states).toEqual(['delivered'])
    expect(await world.chain.balanceOf(seller.address)).toBe(1_000n)
    expect(world.facilitator.calls.settle).toHaveLength(moves ? 1 : 2)
  },
  60_000,
)

/** As if the time had passed for which a dead gateway's claims stay held. */
function letHoldsRunOut(): void {
  const database = new DatabaseSync(storeFile)
  database.exec('UPDATE claims SET held_until = 0')
  database.close()
}

interface Child {
  readonly url: string
  /** Resolves when the resolver has finished a payment. */
  readonly resolved: Promise<void>
  stop(): Promise<void>
}

async function startChild(): Promise<Child> {
  const { child, stop } = spawnTied(process.execPath, [MAIN, 'start', '-c', configFile])
  running.push({ stop })
  if (child.stdout === null || child.stderr === null) throw new Error('The child has no pipes.')
  child.stderr.resume()
  const listening = Promise.withResolvers<string>()
  const resolved = Promise.withResolvers<void>()
  createInterface({ input: child.stdout }).on('line', line => {
    const { msg, url } = JSON.parse(line)
    if (msg === 'listening') listening.resolve(url)
    if (msg === 'settlement resolved') resolved.resolve()
  })
  child.once('close', () => listening.reject(new Error('The gateway ended.')))
  return { url: await listening.promise, resolved: resolved.promise, stop }
}

function statusOf(target: string, host: string, payment: string): Promise<number | undefined> {
  const headers = { host, 'PAYMENT-SIGNATURE': payment }
  return new Promise((resolve, reject) => {
    const request = get(target, { headers }, response => {
      response.resume().once('end', () => resolve(response.statusCode))
    })
    request.once('error', reject)
  })
}
