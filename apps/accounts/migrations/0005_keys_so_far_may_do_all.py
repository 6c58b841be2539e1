"""Keys from before there were scopes go on doing what they did."""

from django.db import migrations


def grant(apps, schema_editor):
    apps.get_model("accounts", "ApiKey").objects.filter(scopes=[]).update(scopes=["admin"])


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_api_key_scopes_credentials_audit_filters")]
    # Backwards the column goes as a whole.
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
