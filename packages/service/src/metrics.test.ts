import { expect, test } from '@jest/globals';
import { createMetrics, noMetrics } from './metrics.js';

test('events become metrics of their names', async () => {
  const metrics = createMetrics();
  metrics.jobFinished('render', 20, 4);
  metrics.jobFinished('render', 1, 200);
  metrics.itemFailed('render', 'RENDER_FAILED');
  metrics.deliverySettled('in_app', 'delivered', 1);
  metrics.templateRendered('appointment', 1);
  metrics.piiDetected('email', 'card', 'mask', 2);
  metrics.connectionOpened();
  metrics.connectionOpened();
  metrics.connectionClosed(3001);
  metrics.connectionError('BAD_MESSAGE');
  metrics.frameReceived('markAsRead');
  metrics.framesSent(5);
  metrics.authenticationFailed('socket', 'TOKEN_EXPIRED');
  const text = await metrics.render();
  for (const line of [
    'carillon_items_processed_total{stage="render"} 21',
    'carillon_item_failures_total{stage="render",code="RENDER_FAILED"} 1',
    'carillon_deliveries_settled_total{channel="in_app",status="delivered"} 1',
    'carillon_templates_rendered_total{template="appointment"} 1',
    'carillon_pii_detected_total{channel="email",entity="card",action="mask"} 2',
    'carillon_connections 1',
    'carillon_connections_closed_total{code="3001"} 1',
    'carillon_connection_errors_total{code="BAD_MESSAGE"} 1',
    'carillon_frames_received_total{type="markAsRead"} 1',
    'carillon_frames_sent_total 5',
    'carillon_authentication_failures_total{where="socket",code="TOKEN_EXPIRED"} 1',
    'carillon_job_duration_seconds_count{stage="render"} 2',
    'carillon_job_duration_seconds_bucket{le="0.005",stage="render"} 1',
  ]) {
    expect(text.split('\n')).toContain(line);
  }
  expect(text).toContain('process_cpu_user_seconds_total');
  expect(metrics.contentType).toContain('text/plain');
});

test('registries are apart', async () => {
  const [a, b] = [createMetrics(), createMetrics()];
  a.framesSent(1);
  expect(await b.render()).toContain('carillon_frames_sent_total 0');
});

test('a label has at most 200 values, then other', async () => {
  const metrics = createMetrics();
  for (let i = 0; i < 300; i++) metrics.templateRendered(`t${i}`, 1);
  metrics.templateRendered('t0', 1);
  const series = (await metrics.render()).split('\n').filter((line) => line.startsWith('carillon_templates_rendered_total{'));
  expect(series).toHaveLength(201);
  expect(series).toContain('carillon_templates_rendered_total{template="other"} 100');
  expect(series).toContain('carillon_templates_rendered_total{template="t0"} 2');
});

test('queue lengths are read at each rendering, and a reading that fails leaves the rest standing', async () => {
  const metrics = createMetrics();
  let jobs = 1;
  const stop = metrics.watchQueues(async () => [{ queue: 'render', state: 'waiting', length: jobs++ }]);
  metrics.watchQueues(() => Promise.reject(new Error('away')));
  metrics.watchQueues(() => {
    throw new Error('at once');
  });
  expect(await metrics.render()).toContain('carillon_queue_length{queue="render",state="waiting"} 1');
  expect(await metrics.render()).toContain('carillon_queue_length{queue="render",state="waiting"} 2');
  stop();
  expect(await metrics.render()).not.toContain('carillon_queue_length{queue="render"');
});

test('no metrics take every event', () => {
  for (const event of Object.values(noMetrics) as (() => unknown)[]) expect(() => event()).not.toThrow();
});
