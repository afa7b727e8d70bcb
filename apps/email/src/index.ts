/** The email channel: SendGrid and SMTP. Owner of @sendgrid/mail and nodemailer. */
export { email } from './email.js';
