import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Crew, startCrew } from '../../src/cli/workers/crew.ts'
import { logToPrimary } from '../../src/cli/workers/log-line.ts'
import type { Told } from '../../src/cli/workers/messages.ts'
import type { WorkerEnd, WorkerLink } from '../../src/cli/workers/worker-link.ts'
import type { WorkerEnded } from '../../src/observe/events.ts'
import { accepted, HEAD } from '../config/support.ts'

const config = accepted(`${HEAD}server: {workers: 2}\nroutes: {/a: free}`)
const listen = { host: '127.0.0.1', port: 8402 }

/** A worker that is no process, and does as it is told. */
class StandIn implements WorkerLink {
  readonly asked: [name: string, asked: unknown][] = []
  readonly #end = Promise.withResolvers<WorkerEnd>()
  readonly #refuses: readonly string[]

  constructor(refuses: readonly string[] = []) {
    this.#refuses = refuses
  }

  get ended(): Promise<WorkerEnd> {
    return this.#end.promise
  }

  readonly ask: WorkerLink['ask'] = async (name, asked) => {
    this.asked.push([name, asked])
    if (this.#refuses.includes(name)) throw new Error(`${name} was refused`)
    if (name === 'stop') this.#end.resolve({ exitCode: 0, signal: null })
    return (name === 'start' ? { url: 'http://127.0.0.1:8402' } : null) as never // as told
  }

  kill(): void {
    this.#end.resolve({ exitCode: null, signal: 'SIGKILL' })
  }
}

let forked: StandIn[]
let ended: WorkerEnded[]
const errors: unknown[] = []

beforeEach(() => {
  vi.useFakeTimers()
  forked = []
  ended = []
  errors.length = 0
})
afterEach(() => {
  vi.useRealTimers()
})

function start(refuses: (fork: number) => readonly string[] = () => []): Promise<Crew> {
  return startCrew(config, {
    size: 2,
    listen,
    fork() {
      const link = new StandIn(refuses(forked.length))
      forked.push(link)
      return link
    },
    observer: {
      workerEnded: event => void ended.push(event),
      errorReported: ({ error }) => void errors.push(error),
    },
    onEnded: () => undefined,
  })
}

test('a worker that ends is replaced at once, then ever later; one that lived long, at once', async () => {
  const crew = await start()
  for (const replacedInMs of [0, 250, 500, 1_000]) {
    forked.at(-1)?.kill()
    await vi.advanceTimersByTimeAsync(replacedInMs)
    expect(ended.at(-1)).toMatchObject({ worker: 2, signal: 'SIGKILL', replacedInMs })
  }
  await vi.advanceTimersByTimeAsync(60_000)
  forked.at(-1)?.kill()
  await vi.advanceTimersByTimeAsync(0)
  expect(ended.at(-1)).toMatchObject({ replacedInMs: 0 })
  expect(crew.members.get(2)).toBe(forked.at(-1))
  await crew.stop()
})

test('a worker that ends for ever is tried for ever while another serves', async () => {
  const crew = await start()
  const failed = vi.fn()
  void crew.failed.then(failed)
  for (let times = 0; times < 20; times++) {
    forked.at(-1)?.kill()
    await vi.advanceTimersByTimeAsync(8_000)
  }
  expect(ended).toHaveLength(20)
  expect(failed).not.toHaveBeenCalled()
  await crew.stop()
})

test('it is given up once every worker ends whenever it has started', async () => {
  const crew = await start()
  for (let times = 0; times < 6; times++) {
    for (const link of crew.members.values()) (link as StandIn | null)?.kill() // the only kind here
    await vi.advanceTimersByTimeAsync(8_000)
  }
  expect(await crew.failed).toMatchObject({ code: 'workers_crash' })
  await crew.stop()
})

test('a start that one worker fails is a failure of all, told once', async () => {
  await expect(start(fork => (fork === 1 ? ['start'] : []))).rejects.toThrow('start was refused')
  expect(forked).toHaveLength(2)
  for (const link of forked) expect(await link.ended).toMatchObject({ signal: 'SIGKILL' })
})

test('a worker that cannot take a configuration is replaced by one that begins with it', async () => {
  const crew = await start(fork => (fork === 0 ? ['apply'] : []))
  const next = accepted(`${HEAD}server: {workers: 2}\nroutes: {/b: free}`)
  await crew.apply(next)
  await vi.advanceTimersByTimeAsync(0)
  expect(errors).toHaveLength(1)
  expect(forked[1]?.asked).toContainEqual(['apply', next])
  expect(forked[2]?.asked).toEqual([
    ['start', { worker: 1, config: { ...next, server: { ...next.server, listen } } }],
  ])
  await crew.stop()
})

test('a worker that does not stop in time is killed', async () => {
  const crew = await start(fork => (fork === 0 ? ['stop'] : []))
  await crew.stop()
  expect(await forked[0]?.ended).toMatchObject({ signal: 'SIGKILL' })
  expect(await forked[1]?.ended).toMatchObject({ exitCode: 0 })
})

test('a log travels in batches of whole lines, and what is left when it is flushed', async () => {
  const told: Told[] = []
  const log = logToPrimary((message, sent) => {
    told.push(message)
    sent()
  })
  const line = `${'x'.repeat(1_000)}\n`
  for (let lines = 0; lines < 9; lines++) log.stream.write(line)
  expect(told).toEqual([{ kind: 'log', lines: line.repeat(9) }])
  log.stream.write(line)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(told).toHaveLength(2)
  log.stream.write(line)
  await log.flush()
  expect(told.at(-1)).toEqual({ kind: 'log', lines: line })
})
