import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('../../demo/main.ts', import.meta.url))

test('the demo, with the real gateway, moves exactly the price and ends with 0', async () => {
  const demo = spawn(process.execPath, [MAIN, '--once'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [output, [code]] = await Promise.all([text(demo.stdout), once(demo, 'exit')])
  const lines = output
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  expect(lines.at(-1)).toMatchObject({ step: 'result', ok: true })
  expect(lines.find(({ step }) => step === 'balances_after')).toMatchObject({ moved: '1000' })
  expect(code).toBe(0)
})

test('a signal while a part is starting stops everything that was started', async () => {
  const run = JSON.stringify(new URL('../../demo/run.ts', import.meta.url).href)
  const script = `
    const { run } = await import(${run})
    const start = () => new Promise(() => process.stdout.write('{"step":"waiting"}\\n'))
    await run({ once: true, start })`
  const parameters = ['--input-type=module', '--eval', script]
  const demo = spawn(process.execPath, parameters, { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface(demo.stdout)[Symbol.asyncIterator]()
  const { value: chain = '' } = await lines.next()
  for (let step = ''; step !== 'waiting'; ) step = JSON.parse((await lines.next()).value ?? '').step
  demo.kill('SIGTERM')
  expect(await once(demo, 'exit')).toEqual([130, null])
  await expect(fetch(JSON.parse(chain).rpcUrl)).rejects.toThrow('fetch failed')
})
