import { DatabaseSync } from 'node:sqlite'
import { buyer } from '../support/accounts.ts'
import { type ChildGateway, startChildGateway } from '../support/child-gateway.ts'
import { startWorld, type World } from '../support/gateway.ts'
import { PROBE } from '../support/look-inside.ts'
import { ownFolder } from '../support/own-folder.ts'
import type { Counter } from './callers.ts'
import { FACES, type Face, type FaceApi, faceYaml, startFaceApi } from './faces.ts'

/** A gateway in a process of its own, the APIs of both its faces, a chain and a facilitator. */
export interface FacesShop {
  readonly world: World
  readonly apis: Readonly<Record<Face, FaceApi>>
  readonly gateway: ChildGateway
  readonly counter: Counter
  readonly storeFile: string
  /** Saves the other face, and resolves once it is in force. */
  turn(): Promise<void>
  close(): Promise<void>
}

const RELOAD_MS_MAX = 30_000

/** @param server Fields of `server`, each after a comma. */
export async function openFacesShop(server = ''): Promise<FacesShop> {
  const [world, red, blue] = await Promise.all([
    startWorld(),
    startFaceApi('red'),
    startFaceApi('blue'),
  ])
  await world.chain.mint(buyer.address, 10n ** 15n)
  const apis = { red, blue }
  const folder = ownFolder()
  const { storeFile } = folder
  const facilitatorUrl = world.facilitator.url
  const write = (face: Face): void =>
    folder.write(faceYaml(face, { facilitatorUrl, storeFile, apis, server }))
  write('red')
  const gateway = await startChildGateway(folder.configFile, { preload: PROBE })
  if (gateway.kind === 'ended') throw new Error(`Not started: ${gateway.stderr}${gateway.stdout}`)
  let turns = 0
  return {
    ...{ world, apis, gateway, storeFile },
    counter: { url: gateway.url, chain: world.chain },
    async turn() {
      const face = FACES[++turns % FACES.length] ?? 'red'
      write(face)
      process.kill(gateway.pid, 'SIGHUP')
      await untilInForce(gateway.url, face)
    },
    async close() {
      await gateway.kill()
      folder.remove()
      await Promise.all([world.close(), red.close(), blue.close()])
    },
  }
}

/** What the ledger says once its gateway has ended: what was paid in all, and rows by state. */
export function booksOf(storeFile: string): {
  readonly settled: bigint
  readonly states: Readonly<Record<string, number>>
} {
  const database = new DatabaseSync(storeFile, { readOnly: true })
  const rows = database.prepare('SELECT state, amount FROM claims').all()
  database.close()
  const states: Record<string, number> = {}
  let settled = 0n
  for (const { state, amount } of rows) {
    states[String(state)] = (states[String(state)] ?? 0) + 1
    if (state === 'settled' || state === 'delivered') settled += BigInt(String(amount))
  }
  return { settled, states }
}

async function untilInForce(url: string, face: Face): Promise<void> {
  const until = performance.now() + RELOAD_MS_MAX
  while (performance.now() < until) {
    const reply = await fetch(`${url}/face`)
    if ((await reply.text()).includes(`"told":"${face}"`)) return
  }
  throw new Error(`${face} is not in force after ${RELOAD_MS_MAX} ms.`)
}
