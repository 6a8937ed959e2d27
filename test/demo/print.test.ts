import { expect, test } from 'vitest'
import { DemoFailure, failureFrom } from '../../demo/failure.ts'
import { createShow, createTerminalPrinter } from '../../demo/print.ts'

/** What is left on the screen: a line that was cleared is gone. */
function screenOf(text: string): string[] {
  return text.split('\n').map(line => line.split('\r\u001b[K').at(-1) ?? '')
}

test('a terminal shows what runs, then a mark, the time and what was found', async () => {
  let text = ''
  const printer = createTerminalPrinter(part => {
    text += part
  })
  const show = createShow(printer, error => failureFrom(error, 'none'))
  await show('unpaid', 'Asking', async () => {
    expect(text).toBe('  … Asking')
    const details = [['price', '$0.001']] as const
    return { value: 1, told: { summary: 'It costs', details, facts: {} } }
  })
  const [first, second] = screenOf(text)
  expect(first).toMatch(/^ {2}✔ It costs +\d+ ms$/)
  expect(second).toBe('      price  $0.001')
})

test('a terminal names the step that failed, why, and how to go on', async () => {
  let text = ''
  const printer = createTerminalPrinter(part => {
    text += part
  })
  const show = createShow(printer, error => failureFrom(error, 'Try again.'))
  const run = show('chain', 'Starting', () => Promise.reject(new Error('no room')))
  await expect(run).rejects.toThrow(DemoFailure)
  const [first, why, fix] = screenOf(text)
  expect(first).toMatch(/^ {2}✖ Stopped at: chain +\d+ ms$/)
  expect([why, fix]).toEqual(['      why  no room', '      fix  Try again.'])
})
