import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'

const FIXTURE = fileURLToPath(new URL('./service-fixture.ts', import.meta.url))

const running: ChildProcessByStdio<null, Readable, null>[] = []
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
})

interface Service {
  readonly child: ChildProcessByStdio<null, Readable, null>
  readonly lines: Interface
  readonly ended: Promise<unknown[]>
}

/** Starts the service and waits until it runs. */
async function startService(closing: 'at-once' | 'never'): Promise<Service> {
  const child = spawn(process.execPath, [FIXTURE, closing], { stdio: ['ignore', 'pipe', 'ignore'] })
  running.push(child)
  const service = {
    child,
    lines: createInterface({ input: child.stdout }),
    ended: once(child, 'close'),
  }
  await hear(service, 'started')
  return service
}

async function hear({ lines }: Service, expected: string): Promise<void> {
  const [line] = await once(lines, 'line')
  expect(line).toBe(expected)
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s closes the service; the exit code is 0',
  async signal => {
    const service = await startService('at-once')
    const said: string[] = []
    service.lines.on('line', line => said.push(line))
    service.child.kill(signal)
    expect(await service.ended).toEqual([0, null])
    expect(said).toEqual(['close', 'closed', 'stopped'])
  },
)

test('a second SIGINT does not wait: exit code 130', async () => {
  const service = await startService('never')
  service.child.kill('SIGINT')
  await hear(service, 'close')
  service.child.kill('SIGINT')
  expect(await service.ended).toEqual([130, null])
})

test('SIGHUP reloads, and a reload that fails does not end the service', async () => {
  const service = await startService('at-once')
  for (let round = 0; round < 2; round++) {
    service.child.kill('SIGHUP')
    await hear(service, 'reload')
  }
  service.child.kill('SIGTERM')
  expect(await service.ended).toEqual([0, null])
})
