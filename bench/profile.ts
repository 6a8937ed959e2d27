/**
 * `node profile.ts unpaid|free|paid|routes`: where farebox spends its main thread's time on a path.
 * Writes the profile for a browser's developer tools, and prints the functions that take most.
 */
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Contestant } from './duel.ts'
import { runLoad } from './load.ts'
import type { CpuProfile } from './measured-process.ts'
import { FULL, paymentsNeeded, planFree, planPaid, planRoutes, planUnpaid } from './paths.ts'
import { signPayments } from './payments.ts'
import { openWorld, type World } from './world.ts'

const LINES = 45

const path = process.argv[2] ?? 'paid'
const world = await openWorld()
try {
  const contestant = await firstContestant(world, path)
  const isPaid = path === 'paid'
  const warmUp = isPaid ? 1_000 : 20_000
  const count = isPaid ? contestant.requests.length - warmUp : 40_000
  await send(contestant, { from: 0, count: warmUp })
  await contestant.process.startProfile()
  const before = await contestant.process.cpuMicros()
  await send(contestant, { from: isPaid ? warmUp : 0, count })
  const after = await contestant.process.cpuMicros()
  const profile = await contestant.process.stopProfile()
  const file = join(tmpdir(), `farebox-${path}.cpuprofile`)
  await writeFile(file, JSON.stringify(profile))
  console.log(
    `${path}: ${((after - before) / count).toFixed(1)} us/request, all threads; ${file}\n`,
  )
  print(profile, count)
} finally {
  await world.close()
}

async function firstContestant(world: World, path: string): Promise<Contestant> {
  const plans = {
    unpaid: planUnpaid,
    free: planFree,
    routes: planRoutes,
    paid: (world: World) => planPaid(world, FULL, signPayments(paymentsNeeded(FULL))),
  }
  if (!Object.hasOwn(plans, path)) throw new Error(`One of: ${Object.keys(plans).join(', ')}`)
  const plan = await plans[path as keyof typeof plans](world, FULL) // just checked
  const [first] = plan.contestants
  if (first === undefined) throw new Error('Nobody to profile.')
  return first
}

async function send(
  { process, requests, status }: Contestant,
  { from, count }: { readonly from: number; readonly count: number },
): Promise<void> {
  const part = [...requests.slice(from), ...requests.slice(0, from)]
  await runLoad({ port: process.port, requests: part, count, connections: 32, status })
}

function print({ nodes, samples = [], timeDeltas = [] }: CpuProfile, requests: number): void {
  const byId = new Map(nodes.map(node => [node.id, node]))
  const byFunction = new Map<string, number>()
  const byFile = new Map<string, number>()
  samples.forEach((id, index) => {
    const frame = byId.get(id)?.callFrame
    if (frame === undefined || frame.functionName === '(idle)') return
    const micros = timeDeltas[index] ?? 0
    const file = shorten(frame.url)
    add(
      byFile,
      file || (frame.functionName.startsWith('(') ? frame.functionName : '(native)'),
      micros,
    )
    add(
      byFunction,
      `${frame.functionName || '(anonymous)'} ${file}:${frame.lineNumber + 1}`,
      micros,
    )
  })
  printTop('By file or package', byFile, requests)
  printTop('By function', byFunction, requests)
}

function shorten(url: string): string {
  const [, installed] = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? []
  if (installed !== undefined) return installed
  return url.replace(pathToFileURL(resolve(import.meta.dirname, '..')).href, '')
}

function add(sums: Map<string, number>, key: string, micros: number): void {
  sums.set(key, (sums.get(key) ?? 0) + micros)
}

function printTop(title: string, sums: ReadonlyMap<string, number>, requests: number): void {
  const total = [...sums.values()].reduce((sum, value) => sum + value, 0)
  console.log(`${title} (self time; ${(total / requests).toFixed(1)} us/request in all)`)
  const top = [...sums].sort(([, a], [, b]) => b - a).slice(0, LINES)
  for (const [name, micros] of top) {
    const share = ((100 * micros) / total).toFixed(1).padStart(5)
    console.log(`${share} %  ${(micros / requests).toFixed(2).padStart(8)} us  ${name}`)
  }
  console.log('')
}
