from sqlalchemy import create_engine, text

engine = create_engine("postgresql:///app")


def sweep(run_as_bypass, tenant):
    return run_as_bypass(tenant, "sweep", read)


def read(session, tenant):
    session.execute(text("SELECT set_config('app.tenant_id', :t, false)"), {"t": tenant})
    session.execute(text("SET LOCAL ROLE app_bypass"))
