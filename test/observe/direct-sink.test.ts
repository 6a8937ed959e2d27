import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { DirectSink, openWithoutWaiting } from '../../src/observe/direct-sink.ts'

const directory = mkdtempSync(join(tmpdir(), 'farebox-sink-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const O_READ = constants.O_RDONLY | constants.O_NONBLOCK
const BUFFER_BYTES_MAX = 256 * 1024
let pipes = 0

/** A pipe whose writing end waits, as a shell's does, and the sink over it. */
function openPipe({ closeMsMax = 2_000 } = {}) {
  const path = join(directory, `pipe-${pipes++}`)
  execFileSync('mkfifo', [path])
  const reader = openSync(path, O_READ)
  const writer = openSync(path, 'a')
  const troubles: string[] = []
  const sink = new DirectSink({
    descriptor: openWithoutWaiting(writer) ?? -1,
    bufferBytes: 1024,
    bufferBytesMax: BUFFER_BYTES_MAX,
    flushMs: 20,
    closeMsMax,
    onTrouble: reason => troubles.push(reason),
  })
  return { reader, writer, sink, troubles }
}

function readAvailable(reader: number): string {
  const bytes = Buffer.alloc(1024 * 1024)
  let length = 0
  try {
    for (;;) {
      const read = readSync(reader, bytes, length, bytes.length - length, null)
      if (read === 0) break
      length += read
    }
  } catch (error) {
    expect(error).toMatchObject({ code: 'EAGAIN' })
  }
  return bytes.toString('utf8', 0, length)
}

const line = (index: number): string => `${String(index).padStart(5)} ${'é'.repeat(60)}\n`

describe.skipIf(process.platform !== 'linux')('a pipe', () => {
  test('nobody reads holds nobody up, and gets every line once somebody does', async () => {
    const { reader, writer, sink, troubles } = openPipe()
    const lines = Array.from({ length: 1_500 }, (_, index) => line(index))
    for (const one of lines) sink.write(one)
    const closed = sink.close()
    let read = ''
    const drain = setInterval(() => {
      read += readAvailable(reader)
    }, 1)
    await closed
    clearInterval(drain)
    read += readAvailable(reader)
    expect(read).toBe(lines.join(''))
    expect(troubles).toEqual([])
    for (const descriptor of [reader, writer]) closeSync(descriptor)
  })

  test('nobody ever reads cannot fill our memory, nor hold up close', async () => {
    const { reader, writer, sink, troubles } = openPipe({ closeMsMax: 30 })
    for (let index = 0; index < 20_000; index++) sink.write(line(index))
    expect(new Set(troubles)).toEqual(
      new Set(['its reader is too slow, so that lines are left out']),
    )
    await sink.close()
    const kept = readAvailable(reader).split('\n').slice(0, -1)
    expect(kept.length).toBeGreaterThan(100)
    for (const descriptor of [reader, writer]) closeSync(descriptor)
  })

  test('whose reader goes away is given up, and told of once', async () => {
    const { reader, writer, sink, troubles } = openPipe()
    closeSync(reader)
    for (let index = 0; index < 100; index++) sink.write(line(index))
    await sink.close()
    expect(troubles).toEqual([expect.stringContaining('EPIPE')])
    closeSync(writer)
  })

  test('stays as it was opened for everybody else', () => {
    const path = join(directory, 'shared')
    execFileSync('mkfifo', [path])
    const reader = openSync(path, O_READ)
    const writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
    const own = openWithoutWaiting(writer)
    expect(own).not.toBe(writer)
    closeSync(own ?? -1)
    expect(writeSync(writer, 'still open')).toBe(10)
    for (const descriptor of [reader, writer]) closeSync(descriptor)
  })
})

test.skipIf(process.platform !== 'linux')('lines that are few are written soon', async () => {
  const { reader, writer, sink } = openPipe()
  sink.write('one line\n')
  expect(readAvailable(reader)).toBe('')
  await expect.poll(() => readAvailable(reader)).toBe('one line\n')
  await sink.close()
  for (const descriptor of [reader, writer]) closeSync(descriptor)
})

test('a socket may keep a write waiting, and what is not open takes none', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const client = connect(port, '127.0.0.1')
  await once(client, 'connect')
  const { fd } = (client as unknown as { _handle: { fd: number } })._handle
  expect(openWithoutWaiting(fd)).toBeNull()
  expect(openWithoutWaiting(9_999)).toBeNull()
  client.destroy()
  server.close()
})
